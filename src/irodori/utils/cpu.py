"""Whether bf16 is faster than fp32 on the hardware."""

import torch


def bf16_is_fast_on_cpu() -> bool:
    """Return whether the CPU has AMX, or is AMD's with AVX512-bf16.

    AVX512-bf16 of Intel's CPUs is slower than their fp32. It is all that virtual machines have that
    hide AMX.
    """
    capabilities = torch.cpu.get_capabilities()
    by_amd = str(capabilities.get("cpu_name")).startswith("AMD")
    return bool(capabilities.get("amx_bf16") or (by_amd and capabilities.get("avx512_bf16")))


def bf16_is_fast_on_gpu() -> bool:
    """Return whether the GPU has tensor cores for bf16."""
    return torch.cuda.get_device_capability() >= (8, 0)
