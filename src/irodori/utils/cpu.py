"""Detection of hardware support for bf16."""

import torch


def cpu_has_bf16() -> bool:
    """Return whether the CPU has bf16 instructions."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def gpu_has_bf16() -> bool:
    """Return whether the GPU has tensor cores for bf16."""
    return torch.cuda.get_device_capability() >= (8, 0)
