"""Decoding: from a file's bytes to 8-bit RGB of the wanted size."""

import io

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional


def decode(content: bytes) -> Tensor:
    """An 8-bit RGB image, 3×H×W uint8, of a JPEG, PNG or WebP file; EXIF orientation is applied.

    Raises:
        RuntimeError: the bytes aren't such an image, or are cut short; in one line.
    """
    if not content:
        raise RuntimeError("the file is empty")
    try:
        if content.startswith(b"\xff\xd8"):
            buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            return decode_image(buffer, ImageReadMode.RGB, apply_exif_orientation=True)
        if content.startswith(b"\x89PNG") or content[8:12] == b"WEBP":
            return decode_with_pillow(content)
    except Exception as error:
        # Pillow raises many kinds. torchvision's message starts with a place in its sources, and
        # Pillow's may name a place in memory.
        reason = str(error).rpartition(".cpp:")[2].strip() or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "the image is damaged"
        raise RuntimeError(" ".join(reason.split())) from None
    raise RuntimeError("this is no JPEG, PNG or WebP file")


def decode_with_pillow(content: bytes) -> Tensor:
    """A PNG or WebP file as 3×H×W uint8 RGB.

    torchvision 0.29 is no choice here: a damaged PNG ends the process by a segmentation fault, and
    the orientation of a WebP is left out.
    """
    with Image.open(io.BytesIO(content), formats=("PNG", "WEBP")) as image:
        if getattr(image, "is_animated", False):
            raise RuntimeError("the image is animated")
        return from_pil(ImageOps.exif_transpose(image))


def from_pil(image: Image.Image) -> Tensor:
    """A PIL image as 3×H×W uint8 RGB; 16-bit gray ones (modes I;16 and I) are scaled to 8 bits."""
    if image.mode.startswith("I"):
        # Pillow's own conversion would cut everything above 255 off.
        levels = np.asarray(image).astype(np.float32).clip(0, 65535) / 257
        image = Image.fromarray(levels.round().astype(np.uint8))
    return functional.pil_to_tensor(image.convert("RGB"))


def to_square(image_3HW: Tensor, size: int) -> Tensor:
    """Scaled to 3×size×size with antialiasing, aspect not kept (the paper's preparation)."""
    if image_3HW.shape[-2:] == (size, size):  # torchvision takes 50 µs to find that out
        return image_3HW
    return functional.resize(image_3HW, [size, size], antialias=True)


def to_middle_square(image_3HW: Tensor, size: int) -> Tensor:
    """The middle square, as large as it can be, scaled to 3×size×size with antialiasing."""
    side = min(image_3HW.shape[-2:])
    return to_square(functional.center_crop(image_3HW, [side, side]), size)


def to_short_side(image_3HW: Tensor, size: int) -> Tensor:
    """Scaled down, aspect kept, until the short side is `size` pixels; smaller ones stay."""
    if min(image_3HW.shape[-2:]) <= size:
        return image_3HW
    return functional.resize(image_3HW, [size], antialias=True)
