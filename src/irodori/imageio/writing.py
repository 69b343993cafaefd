"""Results to files: whole or not at all, sRGB, with the photo's metadata."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from irodori.imageio import exif, png, tiff
from irodori.imageio.metadata import Metadata
from irodori.imageio.photo import FORMATS, Encoding, Photo, Provenance, to_uint8
from irodori.imageio.profiles import srgb
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

QUALITY = {"JPEG": 97, "WEBP": 95}
"""Of what is written unless another is chosen; JPEG with chrominance at full size (4:4:4).

Of experiments/colorize/jpeg_quality.csv, the sample's 206 photographs and 11 larger ones: JPEG's is
the smallest that was measured whose error in luminance (L*, root of the mean square) stays below
one 8-bit step in both: 0.76 and 0.59 steps, CIEDE2000 0.43 and 0.40, 0.66 and 0.38 bytes a pixel;
95 has 1.30 and 0.76 steps for 0.55 and 0.30 bytes. 4:2:0 at 97 takes a sixth to a fifth less, but
is off by up to 18 steps at single pixels instead of 7. WebP, which always halves its chrominance,
has 1.30 steps and CIEDE2000 1.00 for 0.39 bytes at 95 (the sample); 1.95 and 1.28 at 90."""

_SEGMENT = 65533  # bytes that a segment of JPEG holds
_XMP_NAME = 29  # of which XMP's own name takes so many


def format_of(photo: Photo, options: Encoding) -> str:
    """The format that a result of this photo is written in, one of `FORMATS`.

    The photo's own if none is chosen; for HEIC and AVIF, which few programs edit, JPEG; and PNG
    where neither keeps the photo's transparency.

    Raises:
        IrodoriError: the chosen format can't hold the photo.
    """
    clear = photo.alpha is not None and _shows_through(photo.alpha)
    own = photo.format if photo.format in FORMATS else "JPEG"
    name = options.format or ("PNG" if clear and not FORMATS[own].alpha else own)
    height, width = photo.pixels.shape[:2]
    if clear and not FORMATS[name].alpha:
        kept = ", ".join(other for other, one in FORMATS.items() if one.alpha)
        raise IrodoriError(f"{name} can't hold the photo's transparency; choose one of {kept}")
    most = FORMATS[name].side
    if most and max(height, width) > most:
        raise IrodoriError(
            f"{name} holds at most {most} pixels a side, not {width} × {height}; choose PNG or TIFF"
        )
    return name


def write_photo(
    target: Path | BinaryIO,
    pixels_HW3: np.ndarray,
    like: Photo,
    options: Encoding,
    provenance: Provenance | None = None,
) -> None:
    """Write a coloured photo with the metadata and the transparency of the photo that it was.

    16 bits are kept where the format has them and else rounded to 8. What of the metadata the
    format can't hold is left out: all but the resolution in BMP, and in JPEG what is beyond 64 KB.
    A file appears whole or not at all.

    Args:
        target: a file, made with its folders and replaced if it is there; or a stream, which need
            not be seekable.
        pixels_HW3: sRGB, uint8 or uint16, of the photo's size.
        like: the photo.
        options: format and quality.

    Raises:
        IrodoriError: the format can't hold the photo, or the file can't be written.
        ValueError: the pixels are of another size or kind.
    """
    size = (*like.pixels.shape[:2], 3)
    if pixels_HW3.shape != size or pixels_HW3.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{pixels_HW3.shape} {pixels_HW3.dtype} for a photo of {size}")
    name = format_of(like, options)
    alpha = like.alpha if FORMATS[name].alpha else None
    if pixels_HW3.dtype == np.uint16 and not FORMATS[name].deep:
        pixels_HW3 = to_uint8(pixels_HW3)
    if alpha is not None and alpha.dtype != pixels_HW3.dtype:
        alpha = to_uint8(alpha) if alpha.dtype == np.uint16 else alpha.astype(np.uint16) * 257
    try:
        if isinstance(target, Path):
            with replacing(target) as file:
                _write(file, name, pixels_HW3, alpha, like.metadata, options)
            return
        content = io.BytesIO()  # a stream gets all of it or nothing
        _write(content, name, pixels_HW3, alpha, like.metadata, options)
        target.write(content.getbuffer())
    except OSError as error:
        where = f"{target}: " if isinstance(target, Path) else ""
        raise IrodoriError(f"{where}{error.strerror or one_line(error)}") from None


def _write(
    file: BinaryIO,
    name: str,
    colors: np.ndarray,
    alpha: np.ndarray | None,
    metadata: Metadata,
    options: Encoding,
) -> None:
    if name == "PNG":
        png.write(file, colors, alpha, metadata)
        return
    if name == "TIFF":
        tiff.write(file, colors, alpha, metadata)
        return
    image = Image.fromarray(colors if alpha is None else np.dstack([colors, alpha]))
    settings: dict[str, Any] = {}
    if name in QUALITY:
        settings = {"quality": options.quality or QUALITY[name], "icc_profile": srgb()}
        settings |= _described(name, metadata)
    if name == "JPEG":
        settings |= {"subsampling": "4:4:4"}
    if metadata.dpi is not None and name != "WEBP":
        settings["dpi"] = metadata.dpi
    image.save(file, name, **settings)


def _described(name: str, metadata: Metadata) -> dict[str, bytes]:
    """EXIF and XMP as far as JPEG or WebP hold them."""
    block, packet = metadata.exif, metadata.xmp
    if name == "WEBP":  # it has no other place for the resolution
        block = exif.with_resolution(block, metadata.dpi)
    else:
        block = exif.fitting(block, _SEGMENT - 6)
        packet = packet if packet and len(packet) <= _SEGMENT - _XMP_NAME else None
    described = {}
    if block:
        described["exif"] = b"Exif\0\0" + block
    if packet:
        described["xmp"] = packet
    return described


def _shows_through(alpha: np.ndarray) -> bool:
    return bool(alpha.min() < np.iinfo(alpha.dtype).max)
