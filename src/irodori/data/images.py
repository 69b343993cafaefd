"""Decoding: from a file's bytes to 8-bit RGB of the wanted size."""

import io
import re
import struct
from functools import lru_cache

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

_FRAMES = (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2")
"""Markers of JPEG's frame headers: baseline, extended, progressive (ITU-T T.81, table B.1)."""
_SCAN, _APP1 = b"\xff\xda", b"\xff\xe1"


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
        reason = re.sub(r".*\.cpp:\d+,?", "", str(error)).strip() or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "the image is damaged"
        raise RuntimeError(" ".join(reason.split())) from None
    raise RuntimeError("this is no JPEG, PNG or WebP file")


def decode_into(pixels_HW3: NDArray[np.uint8], content: bytes) -> bool:
    """Put a file's pixels, as `decode` finds them, right where they are wanted.

    Returns:
        Whether it could be done: for common JPEGs of that very size. Else use `decode`; it also
        knows what is wrong with a damaged file.
    """
    if common_jpeg_size(content) != pixels_HW3.shape[:2]:
        return False
    try:
        imagecodecs.jpeg8_decode(content, out=pixels_HW3)
    except RuntimeError:
        return False
    return True


def common_jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG of three 8-bit components that nothing turns, by its headers.

    None for all else, and for files that don't end with a JPEG's end: where one is cut short,
    imagecodecs fills up with gray.
    """
    if not (content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9")):
        return None
    # An encoder mostly writes the same headers, with the first scan's, of 14 bytes, as their last.
    return _size_by_headers(content[: content.find(_SCAN) + 14])


@lru_cache(maxsize=64)
def _size_by_headers(headers: bytes) -> tuple[int, int] | None:
    size, place = None, 2
    while place + 10 <= len(headers):
        marker = headers[place : place + 2]
        if marker == _SCAN:
            return size
        if marker == _APP1 or marker[:1] != b"\xff":  # APP1 is where EXIF stands
            return None
        length, bits, height, width, components = struct.unpack_from(">HBHHB", headers, place + 2)
        if marker in _FRAMES:
            if (bits, components) != (8, 3):
                return None
            size = height, width
        place += 2 + length
    return None


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
