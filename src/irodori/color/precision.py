"""Full fp32 or float64 precision for color computations.

Under autocast, or with TF32 or bf16 products, the matrix products and convolutions in kornia's
conversions, warps and filters keep only 8 to 11 significant bits: L*a*b* is then off by up to three
units.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import Any

import torch
from torch import Tensor, backends
from torch.overrides import TorchFunctionMode

_SWITCHES: tuple[Any, ...] = (
    backends.cuda.matmul,
    backends.cudnn.conv,  # type: ignore[attr-defined]
    backends.cudnn.rnn,
    backends.mkldnn.matmul,  # type: ignore[attr-defined]
    backends.mkldnn.conv,  # type: ignore[attr-defined]
)
_lock = Lock()


class NonBlockingConstants(TorchFunctionMode):
    """Makes `torch.tensor` create tensors on a GPU without synchronizing.

    kornia creates the matrices of its conversions at every call, and each copy would wait for all
    queued work of the GPU: in training, for the whole previous step.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function, but create tensors on the CPU first."""
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return torch.tensor(*args, **kwargs).to(device, non_blocking=True)
        return func(*args, **kwargs)


_inside = 0
_before = ExitStack()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Context manager that computes in full fp32: no autocast, no TF32, no bf16 products.

    PyTorch's TF32 switches are global to the process: they are off from when the first thread
    enters until the last one leaves, and are then restored. Inside, `torch.tensor` doesn't
    synchronize with a GPU.

    Args:
        device: device of the computation.
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = _without_tf32()
        _inside += 1
    try:
        with ExitStack() as contexts:
            # Devices without autocast, such as meta, can't disable it.
            if torch.amp.is_autocast_available(device.type):
                contexts.enter_context(torch.autocast(device.type, enabled=False))
            if device.type == "cuda":
                contexts.enter_context(NonBlockingConstants())
            yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _before.close()


def _without_tf32() -> ExitStack:
    """Disable TF32 and bf16 products; closing the result restores the settings."""
    restoring = ExitStack()
    for switch in _SWITCHES:
        restoring.callback(setattr, switch, "fp32_precision", switch.fp32_precision)
    # The older settings can't be read once the newer `fp32_precision` has been set.
    with suppress(RuntimeError):
        restoring.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
    with suppress(RuntimeError):
        restoring.callback(setattr, backends.cudnn, "allow_tf32", backends.cudnn.allow_tf32)
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = False
    for switch in _SWITCHES:
        if switch.fp32_precision not in ("none", "ieee"):
            switch.fp32_precision = "ieee"
    return restoring


def to_full_precision(picture: Tensor, name: str, channels: int) -> Tensor:
    """Convert a picture to the type to compute in: fp32, unless it is float64.

    Raises:
        TypeError: it is not a floating-point tensor.
        ValueError: its shape is not B×`channels`×H×W.
    """
    if not isinstance(picture, Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(picture).__name__}")
    if not torch.is_floating_point(picture):
        hint = "; irodori.color.to_float converts it" if picture.dtype == torch.uint8 else ""
        raise TypeError(f"{name} must be of floating point in [0, 1], not {picture.dtype}{hint}")
    if picture.ndim != 4 or picture.shape[1] != channels:
        shape = "×".join(map(str, picture.shape))
        raise ValueError(f"{name} must have the shape B×{channels}×H×W, not {shape or 'a scalar'}")
    return picture if picture.dtype == torch.float64 else picture.float()


def to_uint8(rgb: Tensor) -> Tensor:
    """Convert floats of any shape to uint8, clipped to [0, 1] and rounded to the nearest level.

    Raises:
        TypeError: `rgb` is not a floating-point tensor.
    """
    if not torch.is_floating_point(rgb):
        raise TypeError(f"to_uint8 takes a float picture in [0, 1], not {rgb.dtype}")
    # In bf16, with 8 bits of precision, multiplying by 255 would merge neighboring levels.
    levels = rgb.to(torch.promote_types(rgb.dtype, torch.float32)) * 255
    return levels.clamp(0, 255).round().to(torch.uint8)


def to_float(pixels: Tensor) -> Tensor:
    """Convert 8-bit pixels of any shape to fp32 in [0, 1], on the same device.

    Raises:
        TypeError: `pixels` is not uint8.
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(f"to_float takes uint8 pixels, not {pixels.dtype}")
    return pixels.to(torch.float32) / 255
