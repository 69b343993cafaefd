"""Decoding image files to 8-bit RGB tensors, and resizing them."""

import io
import re

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from irodori.imageio import pil_to_pixels, pixels_to_pil
from irodori.imageio.kinds import IN_SHARDS, SUFFIXES, kind_by_content
from irodori.utils.errors import is_out_of_memory


def suffix_of(content: bytes) -> str | None:
    """Return the suffix for a file's content, detected by its first bytes; None if unknown."""
    kind = kind_by_content(content[:32])
    return SUFFIXES[kind][0] if kind in IN_SHARDS else None


def decode(content: bytes) -> Tensor:
    """Decode an image file to 3×H×W uint8 RGB, with EXIF orientation applied.

    Raises:
        RuntimeError: the bytes are not a supported image, or truncated; a message of one line.
        MemoryError: memory runs out; torchvision raises a RuntimeError for that.
    """
    if not content:
        raise RuntimeError("the file is empty")
    suffix = suffix_of(content)
    if suffix is None:
        raise RuntimeError(f"this is not an image of a known kind ({', '.join(IN_SHARDS)})")
    try:
        if suffix == "jpg":
            buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            return decode_image(buffer, ImageReadMode.RGB, apply_exif_orientation=True)
        return _decode_with_pillow(content)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # Pillow raises many exceptions. torchvision's message starts with a source location, and
        # Pillow's may contain a memory address.
        reason = re.sub(r".*\.cpp:\d+,?", "", str(error)).strip() or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "the image is damaged"
        raise RuntimeError(" ".join(reason.split())) from None


def _decode_with_pillow(content: bytes) -> Tensor:
    """Decode with Pillow.

    torchvision 0.29 crashes with a segmentation fault on damaged PNG files and ignores the
    orientation of WebP files.
    """
    with Image.open(io.BytesIO(content), formats=IN_SHARDS) as image:
        if image.format != "TIFF" and getattr(image, "is_animated", False):
            raise RuntimeError("the image is animated")
        return from_pil(ImageOps.exif_transpose(image))


def from_pil(image: Image.Image) -> Tensor:
    """Convert a PIL image to 3×H×W uint8 RGB, scaling 16-bit gray (modes I;16 and I) to 8 bits."""
    if image.mode.startswith("I"):
        image = pixels_to_pil(pil_to_pixels(image))
    return functional.pil_to_tensor(image.convert("RGB"))


def to_square(image_3HW: Tensor, size: int) -> Tensor:
    """Scale to 3×size×size with antialiasing, ignoring the aspect ratio (as in the paper)."""
    if image_3HW.shape[-2:] == (size, size):  # torchvision takes 50 µs for this check
        return image_3HW
    return functional.resize(image_3HW, [size, size], antialias=True)


def to_middle_square(image_3HW: Tensor, size: int) -> Tensor:
    """Crop the largest centered square, and scale it to 3×size×size."""
    side = min(image_3HW.shape[-2:])
    return to_square(functional.center_crop(image_3HW, [side, side]), size)


def to_short_side(image_3HW: Tensor, size: int) -> Tensor:
    """Scale down to a short side of `size` pixels, keeping the aspect ratio; never up."""
    if min(image_3HW.shape[-2:]) <= size:
        return image_3HW
    return functional.resize(image_3HW, [size], antialias=True)
