"""What the machine is good at: accelerator, precision and memory format, decided at start."""

from dataclasses import dataclass

import torch

from irodori.config import TrainerConfig
from irodori.errors import IrodoriError
from irodori.hardware import cpu_has_bf16, gpu_has_bf16


@dataclass(frozen=True)
class Hardware:
    """What a run computes with."""

    accelerator: str
    """cpu or gpu."""
    bf16: bool
    """Autocast to bf16; fp32 otherwise."""
    channels_last: bool
    winograd: bool
    """Layers of many channels by `winograd.convolution`."""

    def __str__(self) -> str:
        device = torch.cuda.get_device_name() if self.accelerator == "gpu" else cpu_name()
        precision = "bf16 autocast" if self.bf16 else "fp32"
        layout = "channels-last" if self.channels_last else "contiguous"
        convolution = " · Winograd" if self.winograd else ""
        return f"{device} · {precision} · {layout}{convolution}"


def choose(config: TrainerConfig) -> Hardware:
    """Fill in what the config leaves to "auto".

    bf16 where the hardware has units for it (CPU: AMX or AVX512-bf16; GPU: compute capability ≥ 8);
    elsewhere it is emulated, and slower than fp32 by orders of magnitude. Channels-last is the
    layout of both oneDNN's and cuDNN's fast convolutions. Winograd's form of layers with many
    channels is about twice as fast as oneDNN's in fp32; cuDNN chooses it by itself, and in bf16 it
    would be too rough.

    Raises:
        IrodoriError: a setting is unknown, or the GPUs that are asked for aren't there.
    """
    gpus = torch.cuda.device_count()
    check("trainer.accelerator", config.accelerator, ("auto", "cpu", "gpu"))
    check("trainer.precision", config.precision, ("auto", "fp32", "bf16"))
    check("trainer.memory_format", config.memory_format, ("auto", "channels_last", "contiguous"))
    check("trainer.compile", config.compile, (None, "default", "reduce-overhead", "max-autotune"))
    check("trainer.convolution", config.convolution, ("auto", "winograd", "direct"))
    if config.devices < 1 or config.num_nodes < 1:
        raise IrodoriError("trainer.devices and trainer.num_nodes are at least 1")
    few = 0 < gpus < config.devices and config.accelerator == "auto"
    if few or (config.accelerator == "gpu" and config.devices > gpus):
        raise IrodoriError(
            f"trainer.accelerator={config.accelerator} trainer.devices={config.devices}: this"
            f" machine has {gpus} CUDA device(s); use trainer.accelerator=cpu or fewer devices"
        )
    gpu = config.accelerator == "gpu" or (config.accelerator == "auto" and gpus >= config.devices)
    if config.sync_batchnorm and not gpu:
        raise IrodoriError(
            "trainer.sync_batchnorm=true works on GPUs only; leave it out on the CPU"
        )
    bf16 = gpu_has_bf16() if gpu else cpu_has_bf16()
    if config.precision != "auto":
        bf16 = config.precision == "bf16"
    can_winograd = not gpu and not bf16 and config.compile is None
    if config.convolution == "winograd" and not can_winograd:
        raise IrodoriError(
            "trainer.convolution=winograd is for fp32 on the CPU, not compiled; add"
            " trainer.precision=fp32, trainer.accelerator=cpu and trainer.compile=null, or leave it"
            " out"
        )
    return Hardware(
        accelerator="gpu" if gpu else "cpu",
        bf16=bf16,
        channels_last=config.memory_format != "contiguous",
        winograd=can_winograd and config.convolution != "direct",
    )


def check(key: str, value: str | None, known: tuple[str | None, ...]) -> None:
    """Raise IrodoriError unless the value is known."""
    if value not in known:
        names = ", ".join(name or "null" for name in known)
        raise IrodoriError(f"{key}={value} is unknown; it is one of {names}")


def cpu_name() -> str:
    """Name, cores and widest vector unit of the CPU."""
    name = torch.cpu.get_capabilities().get("cpu_name", "CPU")
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
