"""Reading the networks that Torch7, PyTorch's predecessor in Lua, saved; runs nothing of them."""
