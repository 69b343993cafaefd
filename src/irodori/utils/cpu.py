"""Whether bf16 is fast on this machine: the network's precision is chosen by it."""

import torch


def cpu_has_bf16() -> bool:
    """Return whether the CPU multiplies bf16 in hardware."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def gpu_has_bf16() -> bool:
    """Return whether the GPU multiplies bf16 in tensor cores."""
    return torch.cuda.get_device_capability() >= (8, 0)
