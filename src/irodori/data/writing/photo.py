"""Preparing one image for a shard: looked at, and copied, converted or rejected."""

import io
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from irodori.data.writing.icc import to_srgb
from irodori.utils.errors import one_line

QUALITY = 95
"""JPEG quality of what is encoded, with chrominance, which is what is learned, at full resolution.

Measured on the sample's photographs, halved in size: 4:4:4 at 95 changes a*b* by 0.74 (RMS) for
13.9 KB a photograph; 4:2:0 at the same quality by 1.98, as much as 4:4:4 at 75, for 11.5 KB."""

MAX_PIXELS = 1 << 28
"""Larger pictures are rejected: a few bytes can claim any size, and decoding takes 4 bytes each."""

_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}  # what shards hold
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Preparation:
    """What is wanted of each image.

    size: the short side in pixels that larger ones are scaled down to. near_gray: images whose
    `colorfulness` is below are left out; 0 keeps all. decode: False copies what fits by its header
    without looking at its pixels.
    """

    size: int = 256
    near_gray: float = 4.0
    decode: bool = True


class Prepared(NamedTuple):
    """An upright 8-bit RGB image as it goes into a shard; suffix: jpg, png or webp."""

    content: bytes
    suffix: str


class RejectedError(Exception):
    """Why an image is left out; what stands before a colon is the kind of reason."""


NEAR_GRAY = "near-gray"


def prepare(content: bytes, wanted: Preparation) -> Prepared:
    """Make an image file's bytes what a shard holds; the kind is known by the bytes.

    Upright 8-bit RGB files (JPEG, PNG, WebP) that are not too large stay as they are, byte for
    byte. All others become JPEG.

    Raises RejectedError for what cannot be read, is transparent, animated, enormous or near-gray.
    """
    if not content:
        raise RejectedError("empty file")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            return _prepare(image, content, wanted)
    except UnidentifiedImageError:
        known = content.startswith(_MAGIC)
        reason = "damaged: its header" if known else "no image of a known kind"
        raise RejectedError(reason) from None
    except Image.DecompressionBombError:
        raise RejectedError(f"too large: more than {MAX_PIXELS} pixels") from None
    except (RejectedError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many kinds
        reason = one_line(error)
        cut = "truncated" in reason.lower()
        raise RejectedError("truncated" if cut else f"damaged: {reason}") from None


def colorfulness(image: Image.Image) -> float:
    """How far from gray a picture is: the root of the mean squared distance of (Cb, Cr) from gray.

    In levels of 255 (JPEG's Y'CbCr), over 64×64 of the picture's pixels: drawn and not averaged,
    which would take its colours away from a fine pattern.
    """
    sample = image.resize((64, 64), Image.Resampling.NEAREST).convert("YCbCr")
    counts = np.array(sample.histogram()[256:]).reshape(2, 256)
    return math.sqrt((counts * (np.arange(256) - 128) ** 2).sum() / counts[0].sum())


def _prepare(image: Image.Image, content: bytes, wanted: Preparation) -> Prepared:
    # An MPO file is a JPEG with further pictures, such as previews, behind it.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise RejectedError("animated or of several pages")
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise RejectedError(f"too large: more than {MAX_PIXELS} pixels")
    orientation = image.getexif().get(_ORIENTATION, 1)
    if (
        min(width, height) <= wanted.size
        and orientation not in _UPRIGHT
        and _is_8bit_rgb(image, content)
        and to_srgb(image.info.get("icc_profile"), "RGB") is None
    ):
        if wanted.decode:
            image.load()
            _refuse_near_gray(image, wanted)
        assert image.format is not None
        return Prepared(content, _SUFFIXES[image.format])
    return Prepared(_encoded(_converted(image, orientation, wanted)), "jpg")


def _is_8bit_rgb(image: Image.Image, content: bytes) -> bool:
    if image.mode != "RGB" or image.format not in _SUFFIXES or "transparency" in image.info:
        return False
    # Pillow opens 16-bit PNGs as RGB too; the depth stands in the header, always the first chunk.
    return image.format != "PNG" or content[24] == 8


def _converted(image: Image.Image, orientation: int, wanted: Preparation) -> Image.Image:
    """Upright sRGB, the short side at most `size`."""
    scale = min(1.0, wanted.size / min(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    # A JPEG decoder leaves out what is not needed for a half, a quarter or an eighth of the size.
    # Twice the wanted one is kept, so that the filter below still decides how it looks.
    image.draft(None, (2 * width, 2 * height))
    profile = image.info.get("icc_profile")
    image = _opaque(image)
    if scale < 1:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    transform = to_srgb(profile, image.mode)
    if transform is not None:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        image = converted
    image = image.convert("RGB")
    _refuse_near_gray(image, wanted)
    return image


def _opaque(image: Image.Image) -> Image.Image:
    """Mode RGB, L or CMYK. Raises RejectedError if any pixel is transparent."""
    mode = image.mode
    if mode == "F":
        raise RejectedError("floating-point pixels")
    if mode.startswith("I"):
        # 16-bit gray. Pillow's own conversion would cut everything above 255 off.
        levels = np.asarray(image).astype(np.float32).clip(0, 65535) / 257
        return Image.fromarray(levels.round().astype(np.uint8))
    if "transparency" in image.info or mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise RejectedError("transparent")
        return image.convert("RGB")
    if mode in ("RGB", "CMYK"):
        image.load()
        return image
    return image.convert("L" if mode == "1" else "RGB")


def _refuse_near_gray(image: Image.Image, wanted: Preparation) -> None:
    if wanted.near_gray > 0:
        color = colorfulness(image)
        if color < wanted.near_gray:
            raise RejectedError(f"{NEAR_GRAY}: {color:.1f} levels from gray")


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    # Resized pictures carry their source's info: neither its profile nor its EXIF holds any more.
    image.info.clear()
    image.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return file.getvalue()
