"""Conversion between 8-bit pixels and float images in [0, 1]."""

import torch
from torch import Tensor


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
