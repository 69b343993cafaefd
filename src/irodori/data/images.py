"""Decoding: from a file's bytes to 8-bit RGB of the wanted size."""

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional


def decode(content: bytes) -> Tensor:
    """An 8-bit RGB image, 3×H×W uint8, of a JPEG, PNG or WebP file; EXIF orientation is applied.

    Raises:
        RuntimeError: the bytes aren't such an image, or are cut short.
    """
    if not content:
        raise RuntimeError("the file is empty")
    buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    image_3HW = decode_image(buffer, ImageReadMode.RGB, apply_exif_orientation=True)
    if image_3HW.dtype == torch.uint16:
        image_3HW = (image_3HW.to(torch.int32) // 257).to(torch.uint8)
    return image_3HW


def to_square(image_3HW: Tensor, size: int) -> Tensor:
    """Scaled to 3×size×size with antialiasing, aspect not kept (the paper's preparation)."""
    return functional.resize(image_3HW, [size, size], antialias=True)


def to_short_side(image_3HW: Tensor, size: int) -> Tensor:
    """Scaled down, aspect kept, until the short side is `size` pixels; smaller ones stay."""
    if min(image_3HW.shape[-2:]) <= size:
        return image_3HW
    return functional.resize(image_3HW, [size], antialias=True)
