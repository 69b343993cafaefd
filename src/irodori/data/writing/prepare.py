"""Preparing an image for a shard: copy, convert or reject it."""

import errno
import hashlib
import importlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from irodori.imageio import pil_to_pixels, pixels_to_pil
from irodori.imageio.color import differs_from_srgb, to_srgb
from irodori.imageio.kinds import IN_SHARDS, kind_by_content
from irodori.utils.errors import IrodoriError, check_range, one_line

QUALITY = 95
"""JPEG quality of converted images, without chroma subsampling, since chrominance is the target.

Measured on the sample's photographs at half size: 4:4:4 at 95 changes a*b* by 0.74 (RMS) with 13.9
KB per photograph; 4:2:0 at the same quality by 1.98, like 4:4:4 at 75, with 11.5 KB."""

MAX_PIXELS = 1 << 28
"""Largest number of pixels; each takes 4 bytes to decode, and headers can claim any size."""

NEAR_GRAY = "near-gray"
TILES = 4
"""Fingerprints have the mean colors of TILES×TILES tiles."""

Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is the limit

_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}  # formats that are copied
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Options:
    """Options that, together with the source, determine the written bytes.

    Attributes:
        size: short side in pixels to which larger images are scaled down.
        near_gray: images with a lower `colorfulness` are rejected; 0 keeps all.
        decode: False copies images that fit according to their header, without decoding them.
        val_share: share of each class for validation; None: 0.05, or the published split.
        shard_samples: approximate number of images per shard.
        seed: seed of the order.
    """

    size: int = 256
    near_gray: float = 4.0
    decode: bool = True
    val_share: float | None = None
    shard_samples: int = 1000
    seed: int = 0

    def check(self) -> None:
        """Raise IrodoriError for values out of range."""
        check_range("--size", self.size, 16, 16384)
        check_range("--near-gray", self.near_gray, 0, 128)
        check_range("--val-share", self.val_share or 0, 0, 0.9)
        check_range("--shard-samples", self.shard_samples, 1, 1_000_000)
        if not self.decode and self.near_gray:
            raise IrodoriError("--no-decode can't detect near-gray images: add --near-gray 0")


class Prepared(NamedTuple):
    """An upright 8-bit RGB image for a shard; suffix: jpg, png or webp."""

    content: bytes
    suffix: str


class RejectedError(Exception):
    """Raised for a rejected image; the kind of reason precedes the colon in the message."""


def prepare_files(root: Path, options: Options, paths: Sequence[str]) -> list[Prepared | str]:
    """Return `prepare` for files below a root, or the reasons why they are rejected."""
    return [_prepare_file(root / path, options) for path in paths]


def _prepare_file(path: Path, options: Options) -> Prepared | str:
    try:
        return prepare(_content(path), options)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except RejectedError as reason:
        return str(reason)


def fingerprint_files(root: Path, options: Options, paths: Sequence[str]) -> list[bytes]:
    """Return `fingerprint` for files below a root; empty for unreadable ones."""
    prints = []
    for path in paths:
        try:
            prints.append(fingerprint(_content(root / path), options.decode))
        except OSError:
            prints.append(b"")
    return prints


def _content(path: Path) -> bytes:
    """Return the content of a file; raise OSError for named pipes, which would block."""
    if path.is_fifo():
        raise OSError(errno.EINVAL, "a named pipe")
    return path.read_bytes()


def prepare(content: bytes, options: Options) -> Prepared:
    """Prepare an image file for a shard.

    Upright 8-bit RGB files (JPEG, PNG, WebP) in sRGB that are not too large are copied byte for
    byte. All others are converted to JPEG.

    Raises:
        RejectedError: it can't be read, or is transparent, animated, too large or near-gray.
    """
    if not content:
        raise RejectedError("empty file")
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            return _prepare(image, content, options)
    except UnidentifiedImageError:
        raise RejectedError(_unidentified(content)) from None
    except (RejectedError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many exceptions
        reason = one_line(error)
        cut = "truncated" in reason.lower()
        raise RejectedError("truncated" if cut else f"damaged: {reason}") from None


def fingerprint(content: bytes, decode: bool) -> bytes:
    """Return 48 bytes that are similar for nearly equal images; empty for unreadable ones.

    They are the mean colors of 4×4 tiles or, without decoding, a hash of the file.
    """
    if not decode:
        return hashlib.blake2b(content, digest_size=TILES * TILES * 3).digest()
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            image.draft("RGB", (64, 64))
            tiles = image.convert("RGB").resize((TILES, TILES), Image.Resampling.BOX)
            return _upright(tiles, image.getexif().get(_ORIENTATION)).tobytes()
    except Exception:  # reported by `prepare`
        return b""


def colorfulness(image: Image.Image) -> float:
    """Return the root mean squared distance of (Cb, Cr) from gray, in 8-bit levels.

    Measured in JPEG's Y'CbCr on a 64×64 subsample of pixels; averaging would remove the colors of
    fine patterns.
    """
    sample = image.resize((64, 64), Image.Resampling.NEAREST).convert("YCbCr")
    counts = np.array(sample.histogram()[256:]).reshape(2, 256)
    return math.sqrt((counts * (np.arange(256) - 128) ** 2).sum() / counts[0].sum())


@cache
def _formats() -> tuple[str, ...]:
    """Return Pillow's names of the supported formats; HEIF only with the extra "heif"."""
    formats = (*IN_SHARDS, "GIF")
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ModuleNotFoundError:
        return formats
    return (*formats, "HEIF")


def _unidentified(content: bytes) -> str:
    kind = kind_by_content(content[:32])
    if kind in _formats():
        return "damaged: its header"
    if kind == "HEIF":
        return "HEIC without the extra: pip install 'irodori[heif]'"
    return "not an image of a known kind"


def _prepare(image: Image.Image, content: bytes, options: Options) -> Prepared:
    # Both may contain further images, such as previews.
    if image.format not in ("MPO", "HEIF") and getattr(image, "n_frames", 1) > 1:
        raise RejectedError("animated or with several pages")
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise RejectedError(f"too large: more than {MAX_PIXELS} pixels")
    if (
        min(width, height) <= options.size
        and image.getexif().get(_ORIENTATION) not in range(2, 9)
        and _is_8bit_rgb(image, content)
        and not differs_from_srgb(image.info.get("icc_profile"), "rgb")
    ):
        if options.decode:
            image.load()
            _refuse_near_gray(image, options)
        return Prepared(content, _SUFFIXES[str(image.format)])
    converted = _converted(image, options)
    _refuse_near_gray(converted, options)
    file = io.BytesIO()
    converted.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return Prepared(file.getvalue(), "jpg")


def _is_8bit_rgb(image: Image.Image, content: bytes) -> bool:
    if image.mode != "RGB" or image.format not in _SUFFIXES or "transparency" in image.info:
        return False
    # Pillow also opens 16-bit PNGs as RGB; the bit depth is in the header, always the first chunk.
    return image.format != "PNG" or content[24] == 8


def _converted(image: Image.Image, options: Options) -> Image.Image:
    """Return the image upright and in sRGB, with a short side of at most `size`."""
    scale = min(1.0, options.size / min(image.size))
    # JPEG decoders can decode at 1/2, 1/4 or 1/8 of the size. Twice the target size is kept for the
    # antialiasing filter below.
    width, height = (max(1, round(side * scale)) for side in image.size)
    image.draft(None, (2 * width, 2 * height))
    profile, orientation = image.info.get("icc_profile"), image.getexif().get(_ORIENTATION)
    image = _opaque(image)
    if scale < 1:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    space = image.mode.lower()
    if space in ("rgb", "cmyk") and differs_from_srgb(profile, space):
        image = Image.fromarray(to_srgb(np.array(image), space, profile))
    return _upright(image.convert("RGB"), orientation)


def _upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """Apply the EXIF orientation, and remove the metadata of the original file."""
    image.info.clear()
    image.getexif()[_ORIENTATION] = orientation
    return ImageOps.exif_transpose(image)


def _opaque(image: Image.Image) -> Image.Image:
    """Return the image in mode RGB, L or CMYK; raise RejectedError for transparent pixels."""
    mode = image.mode
    if mode == "F":
        raise RejectedError("floating-point pixels")
    if mode.startswith("I"):
        return pixels_to_pil(pil_to_pixels(image))
    if "transparency" in image.info or mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            raise RejectedError("transparent")
        return image.convert("RGB")
    if mode in ("RGB", "CMYK"):
        image.load()
        return image
    return image.convert("L" if mode == "1" else "RGB")


def _refuse_near_gray(image: Image.Image, options: Options) -> None:
    if options.near_gray > 0:
        color = colorfulness(image)
        if color < options.near_gray:
            raise RejectedError(f"{NEAR_GRAY}: {color:.1f} levels from gray")
