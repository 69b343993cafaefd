"""Choosing accelerator and precision for "auto"."""

from dataclasses import dataclass

import torch
from omegaconf import DictConfig

from irodori.utils.cpu import bf16_is_fast_on_cpu, bf16_is_fast_on_gpu
from irodori.utils.errors import IrodoriError

PRECISIONS = ("32", "32-true", "16", "16-mixed", "bf16", "bf16-mixed")
"""Lightning's precisions in which weights and colors stay fp32; others convert these, too."""


@dataclass(frozen=True)
class Hardware:
    """Lightning's `accelerator` and `precision`, with "auto" resolved."""

    accelerator: str
    precision: str

    def __str__(self) -> str:
        device = torch.cuda.get_device_name() if self.accelerator in ("gpu", "cuda") else cpu_name()
        return f"{device} · {self.precision}"


def choose_hardware(trainer: DictConfig) -> Hardware:
    """Resolve "auto" in the trainer's configuration.

    bf16 is chosen if it is faster than fp32: on CPUs with AMX, or of AMD with AVX512-bf16, and on
    GPUs of compute capability ≥ 8. Emulated, it would be slower by orders of magnitude.

    Raises:
        IrodoriError: the requested GPUs don't exist, or the accelerator or precision isn't
            supported.
    """
    accelerator, devices, precision = trainer.accelerator, trainer.devices, trainer.precision
    gpus, wanted = torch.cuda.device_count(), devices_per_node(trainer)
    if wanted < 1 or trainer.num_nodes < 1:
        raise IrodoriError("trainer.devices and trainer.num_nodes must be at least 1")
    some = gpus > 0 and accelerator == "auto"
    if wanted > gpus and (some or accelerator in ("gpu", "cuda")):
        raise IrodoriError(
            f"trainer.accelerator={accelerator} trainer.devices={devices}: this machine has {gpus}"
            " CUDA device(s); use trainer.accelerator=cpu or fewer devices"
        )
    if accelerator == "mps":
        raise IrodoriError(
            "trainer.accelerator=mps: metrics need float64, which MPS lacks; use"
            " trainer.accelerator=cpu"
        )
    if accelerator == "auto":
        accelerator = "gpu" if gpus else "cpu"
    if trainer.sync_batchnorm and accelerator == "cpu":
        raise IrodoriError(
            "trainer.sync_batchnorm=true works on GPUs only; leave it out on the CPU"
        )
    if precision == "auto":
        fast = {"cpu": bf16_is_fast_on_cpu, "gpu": bf16_is_fast_on_gpu, "cuda": bf16_is_fast_on_gpu}
        bf16 = accelerator in fast and fast[accelerator]()
        precision = "bf16-mixed" if bf16 else "32-true"
    if str(precision) not in PRECISIONS:
        raise IrodoriError(
            f"trainer.precision={precision} would convert colors and weights, which are fp32:"
            " choose auto, 32-true, bf16-mixed or 16-mixed"
        )
    return Hardware(accelerator, str(precision))


def devices_per_node(trainer: DictConfig) -> int:
    """Return the number of devices (and processes) for `trainer.devices`.

    Raises:
        IrodoriError: it is no number, list or "auto".
    """
    devices = trainer.devices
    if not isinstance(devices, int | str):
        return len(devices)
    if str(devices) in ("-1", "auto"):
        return 1 if trainer.accelerator == "cpu" else max(1, torch.cuda.device_count())
    # A string with a comma lists devices, as in Lightning: "0,1", or "1," for a single one.
    if isinstance(devices, str) and "," in devices:
        return len([name for name in devices.split(",") if name])
    try:
        return int(devices)
    except ValueError:
        raise IrodoriError(
            f"trainer.devices={devices}: give a number, a list of numbers, or auto"
        ) from None


def world_size(trainer: DictConfig) -> int:
    """Return the number of ranks for a trainer's configuration."""
    return devices_per_node(trainer) * int(trainer.num_nodes)


def cpu_name() -> str:
    """Return the CPU's name, number of threads, and widest vector extension."""
    name = torch.cpu.get_capabilities().get("cpu_name", "CPU")
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
