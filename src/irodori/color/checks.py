"""The check of what the conversions are given."""

import torch
from torch import Tensor


def check_picture(picture: Tensor, name: str, channels: int) -> None:
    """Refuse anything but a float tensor of B×`channels`×H×W.

    Raises:
        TypeError: it is not a tensor, or not of floating point.
        ValueError: its shape is another one.
    """
    if not isinstance(picture, Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(picture).__name__}")
    if not torch.is_floating_point(picture):
        hint = "; irodori.color.to_float converts it" if picture.dtype == torch.uint8 else ""
        raise TypeError(f"{name} must be of floating point in [0, 1], not {picture.dtype}{hint}")
    if picture.ndim != 4 or picture.shape[1] != channels:
        shape = "×".join(map(str, picture.shape))
        raise ValueError(f"{name} must have the shape B×{channels}×H×W, not {shape or 'a scalar'}")
