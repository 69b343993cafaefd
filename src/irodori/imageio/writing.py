"""Results to files: whole or not at all, sRGB, with the photo's metadata and how they were made."""

import hashlib
import io
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from irodori import __version__
from irodori.imageio import exif, png, tiff, xmp
from irodori.imageio.color import srgb
from irodori.imageio.kinds import FORMATS, INSTEAD
from irodori.imageio.metadata import IPTC_RESOURCE, as_xmp
from irodori.imageio.photo import Encoding, Metadata, Photo, Provenance, to_uint8
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

QUALITY = {"JPEG": 97, "WEBP": 95}
"""Quality of what is written unless another is chosen. JPEG is baseline, not progressive, without
optimized tables: it is decoded a row at a time and by everything; and its chrominance, which is all
that a colorization adds, has its full size (4:4:4).

By experiments/colorize/jpeg_quality.csv (the sample's 206 photographs and 11 larger ones) JPEG's is
the smallest that was measured whose error in luminance (L*, root of the mean square) stays below
one 8-bit step in both: 0.76 and 0.59 steps, CIEDE2000 0.43 and 0.40, 0.66 and 0.38 bytes a pixel;
95 has 1.30 and 0.76 steps for 0.55 and 0.30 bytes. 4:2:0 at 97 takes a sixth to a fifth less, but
is off by up to 18 steps at single pixels instead of 7. WebP, which always halves its chrominance,
has 1.30 steps and CIEDE2000 1.00 for 0.39 bytes at 95 (the sample); 1.95 and 1.28 at 90."""

SOFTWARE = f"irodori {__version__}"
_SEGMENT = 65533  # bytes that a segment of JPEG holds
_LABEL = "colorized"


def format_of(photo: Photo, encoding: Encoding) -> str:
    """Return the format that a result of this photo is written in, one of `FORMATS`.

    The photo's own if none is chosen, or what stands for it (`kinds.INSTEAD`); and PNG where that
    can't hold the photo's transparency or depth.

    Raises:
        IrodoriError: the chosen format can't hold the photo.
    """
    opaque = photo.alpha is None or photo.alpha.min() == np.iinfo(photo.alpha.dtype).max
    name = encoding.format or INSTEAD[photo.format]
    if encoding.format is None and not FORMATS[name].deep:
        name = "PNG" if photo.pixels.dtype == np.uint16 else name
    if not opaque and not FORMATS[name].alpha:
        if encoding.format is not None:
            kept = ", ".join(other for other, format in FORMATS.items() if format.alpha)
            raise IrodoriError(f"{name} can't hold the photo's transparency; choose one of {kept}")
        name = "PNG"
    height, width = photo.pixels.shape[:2]
    limit = FORMATS[name].side
    if max(height, width) > limit:
        raise IrodoriError(
            f"{name} holds at most {limit} pixels a side, not {width} × {height};"
            " choose PNG or TIFF"
        )
    return name


def write_photo(
    target: Path | BinaryIO,
    pixels_HW3: np.ndarray,
    photo: Photo,
    encoding: Encoding,
    provenance: Provenance | None = None,
) -> None:
    """Write a colorized photo with the metadata and the transparency of the photo that it was.

    16 bits are kept where the format has them and else rounded to 8. What of the metadata the
    format can't hold is left out: all but the resolution in BMP, and in JPEG what is beyond 64 KB.
    A file appears whole or not at all; equal photos become equal files.

    Args:
        target: a file, made with its folders and replaced if it is there; or a stream, which need
            not be seekable.
        pixels_HW3: sRGB, uint8 or uint16, of the photo's size.
        photo: as it was read.
        encoding: format and quality.
        provenance: what the result says of how it was made; None: nothing.

    Raises:
        IrodoriError: the format can't hold the photo, or the file can't be written.
        ValueError: the pixels are of another size or kind.
    """
    size = (*photo.pixels.shape[:2], 3)
    if pixels_HW3.shape != size or pixels_HW3.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{pixels_HW3.shape} {pixels_HW3.dtype} for a photo of {size}")
    name = format_of(photo, encoding)
    alpha = photo.alpha if FORMATS[name].alpha else None
    if pixels_HW3.dtype == np.uint16 and not FORMATS[name].deep:
        pixels_HW3 = to_uint8(pixels_HW3)
    if alpha is not None and alpha.dtype != pixels_HW3.dtype:
        alpha = to_uint8(alpha) if alpha.dtype == np.uint16 else alpha.astype(np.uint16) * 257
    if provenance is not None and provenance.label:
        pixels_HW3 = _labeled(pixels_HW3)
    pixels = pixels_HW3 if alpha is None else np.dstack([pixels_HW3, alpha])
    metadata = _described(photo, name, provenance)
    try:
        if isinstance(target, Path):
            with replacing(target) as file:
                _write(file, name, pixels, metadata, encoding)
            return
        content = io.BytesIO()  # a stream gets all of it or nothing
        _write(content, name, pixels, metadata, encoding)
        target.write(content.getbuffer())
    except OSError as error:
        where = f"{target}: " if isinstance(target, Path) else ""
        raise IrodoriError(f"{where}{error.strerror or one_line(error)}") from None


def _write(
    file: BinaryIO, name: str, pixels: np.ndarray, metadata: Metadata, encoding: Encoding
) -> None:
    if name in ("PNG", "TIFF"):
        (png if name == "PNG" else tiff).write(file, pixels, metadata)
        return
    settings: dict[str, Any] = {}
    if name != "BMP":
        settings = {"quality": encoding.quality or QUALITY[name], "icc_profile": srgb()}
        settings |= {"exif": b"Exif\0\0" + metadata.exif} if metadata.exif else {}
        settings |= {"xmp": metadata.xmp} if metadata.xmp else {}
    if metadata.dpi is not None and name != "WEBP":
        settings["dpi"] = metadata.dpi
    if name == "JPEG":
        settings |= {"subsampling": "4:4:4", "extra": _photoshop_segment(metadata.iptc)}
        settings["comment"] = metadata.texts.get("Comment", "").encode()[:_SEGMENT]
    Image.fromarray(pixels).save(file, name, **settings)


def _described(photo: Photo, name: str, provenance: Provenance | None) -> Metadata:
    """Return the result's metadata: the photo's, less what is true no more."""
    found = photo.metadata
    size = photo.pixels.shape[1], photo.pixels.shape[0]
    software = None if provenance is None else SOFTWARE
    # What has no place of its own in the format goes into XMP.
    own = {"PNG": set(found.texts), "JPEG": {"Comment"}}.get(name, set())
    texts = {key: text for key, text in found.texts.items() if key not in own}
    folded = as_xmp(texts, found.iptc if name == "WEBP" else None)
    seed = hashlib.sha256(photo.pixels.data).hexdigest()
    seeds = f"{seed} {name} {provenance}", seed
    result_id, source_id = (str(uuid.uuid5(uuid.NAMESPACE_OID, seed)) for seed in seeds)
    identity = result_id, source_id
    block = exif.for_result(found.exif, size, found.dpi, software)
    packet = xmp.for_result(found.xmp, size, folded, provenance, identity, SOFTWARE)
    if name == "JPEG":
        block = exif.shortened(block, _SEGMENT - 6)
        if packet is not None and len(packet) > _SEGMENT - 29:  # of XMP's own name
            packet = xmp.for_result(None, size, folded, provenance, identity, SOFTWARE)
    return replace(found, exif=block, xmp=packet)


def _photoshop_segment(iptc: bytes | None) -> bytes:
    """Return the JPEG segment that holds IPTC records."""
    body = IPTC_RESOURCE + b"\0\0" + len(iptc or b"").to_bytes(4, "big") + (iptc or b"")
    body = b"Photoshop 3.0\0" + body + bytes(len(body) % 2)
    if iptc is None or len(body) > _SEGMENT:
        return b""
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def _labeled(pixels_HW3: np.ndarray) -> np.ndarray:
    """Return a copy with a small mark in its lower right corner."""
    height, width, _ = pixels_HW3.shape
    font = ImageFont.load_default(max(8, min(height, width) // 40))
    box = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), _LABEL, font)
    mark = Image.new("L", (int(box[2] + box[0]), int(box[3] + box[1])), 64)
    ImageDraw.Draw(mark).text((0, 0), _LABEL, 255, font)
    levels = np.asarray(mark)[-height:, -width:].astype(pixels_HW3.dtype)
    levels *= np.iinfo(pixels_HW3.dtype).max // 255
    labeled = pixels_HW3.copy()
    labeled[height - levels.shape[0] :, width - levels.shape[1] :] = levels[..., None]
    return labeled
