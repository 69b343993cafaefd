"""Writing results atomically as sRGB, with the photo's metadata and provenance."""

import errno
import hashlib
import io
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from irodori.imageio import exif, png, tiff, xmp
from irodori.imageio.color import srgb
from irodori.imageio.kinds import FORMATS, INSTEAD
from irodori.imageio.metadata import as_xmp, iptc_resource
from irodori.imageio.photo import SOFTWARE, Encoding, Metadata, Photo, Provenance, to_uint8
from irodori.imageio.rows import Rows, by_rows, is_rows
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

QUALITY = {"JPEG": 97, "WEBP": 95}
"""Default quality by format; see the measurements in experiments/colorize."""

_SEGMENT = 65533  # largest size of a JPEG segment in bytes
_LABEL = "colorized"
_HASHED = 64  # rows hashed at a time


class OutputError(IrodoriError):
    """Raised if writing fails for a reason that affects all results, such as a full disk."""


def format_of(photo: Photo, encoding: Encoding) -> str:
    """Return the output format for a photo, one of `FORMATS`.

    By default it is the photo's own, or its replacement (`kinds.INSTEAD`), or PNG if that doesn't
    support the photo's transparency or bit depth.

    Raises:
        IrodoriError: the chosen format doesn't support the photo.
    """
    name = encoding.format or INSTEAD[photo.format]
    if is_rows(photo.pixels):
        if name == "TIFF":
            return name
        raise IrodoriError("a photo of this size is written as TIFF only")
    opaque = photo.alpha is None or photo.alpha.min() == np.iinfo(photo.alpha.dtype).max
    if encoding.format is None and not FORMATS[name].deep:
        name = "PNG" if photo.pixels.dtype == np.uint16 else name
    if not opaque and not FORMATS[name].alpha:
        if encoding.format is not None:
            kept = ", ".join(other for other, format in FORMATS.items() if format.alpha)
            raise IrodoriError(
                f"{name} doesn't support the photo's transparency; choose one of {kept}"
            )
        name = "PNG"
    height, width = photo.pixels.shape[:2]
    limit = FORMATS[name].side
    if max(height, width) > limit:
        raise IrodoriError(
            f"{name} supports at most {limit} pixels per side, not {width} × {height};"
            " choose PNG or TIFF"
        )
    return name


def write_photo(
    target: Path | BinaryIO,
    pixels_HW3: np.ndarray,
    photo: Photo,
    encoding: Encoding,
    provenance: Provenance | None = None,
    sign: Callable[[str, bytes], bytes] | None = None,
) -> tuple[str, ...]:
    """Write a colorized photo with the original photo's metadata and transparency.

    16 bits are kept if the format supports them, and otherwise rounded to 8. Files are written
    atomically, and equal photos give equal files.

    Args:
        target: path of the file, which is created with its folders or replaced; or a stream, which
            need not be seekable.
        pixels_HW3: sRGB, uint8 or uint16, of the photo's size.
        photo: the original photo.
        encoding: format and quality.
        provenance: record of how the result was made; None to write none.
        sign: signs results in formats that support it.

    Returns:
        What the format can't store, one phrase each.

    Raises:
        IrodoriError: the format doesn't support the photo, or the file name is too long.
        OutputError: the file can't be written.
        ValueError: the pixels have a wrong size or type.
    """
    size = (*photo.pixels.shape[:2], 3)
    if pixels_HW3.shape != size or pixels_HW3.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{pixels_HW3.shape} {pixels_HW3.dtype} for a photo of {size}")
    name = format_of(photo, encoding)
    alpha = photo.alpha if FORMATS[name].alpha else None
    notes: list[str] = []
    if pixels_HW3.dtype == np.uint16 and not FORMATS[name].deep:
        notes.append(f"16 bits rounded to the 8 of {name}")
        pixels_HW3 = to_uint8(pixels_HW3)
    if alpha is not None and alpha.dtype != pixels_HW3.dtype:
        alpha = to_uint8(alpha) if alpha.dtype == np.uint16 else alpha.astype(np.uint16) * 257
    if provenance is not None and provenance.label:
        pixels_HW3 = _labeled(pixels_HW3)
    pixels = pixels_HW3
    if alpha is not None:
        pixels = by_rows(lambda *planes: np.dstack(planes), pixels_HW3, alpha)
    metadata = _described(photo, name, provenance, notes)
    if is_rows(photo.pixels) and (sign or not isinstance(target, Path)):
        raise IrodoriError("too large for a signature or for --output -")
    if sign is not None and not FORMATS[name].signed:
        notes.append(f"not signed: {name} doesn't support signatures")
        sign = None
    try:
        if isinstance(target, Path) and sign is None:
            with replacing(target) as file:
                _write(file, name, pixels, metadata, encoding)
        else:
            stream = io.BytesIO()  # a stream gets all or nothing
            _write(stream, name, pixels, metadata, encoding)
            content = stream.getvalue() if sign is None else sign(name, stream.getvalue())
            with replacing(target) if isinstance(target, Path) else nullcontext(target) as file:
                file.write(content)
    except OSError as error:
        where = target if isinstance(target, Path) else "output"
        message = f"{where}: {error.strerror or one_line(error)}"
        # Encoders' errors have no errno; a name that is too long affects only one photo.
        if error.errno in (None, errno.ENAMETOOLONG):
            raise IrodoriError(message) from None
        raise OutputError(message) from None
    return tuple(notes)


def _write(
    file: BinaryIO, name: str, pixels: np.ndarray, metadata: Metadata, encoding: Encoding
) -> None:
    if name in ("PNG", "TIFF"):
        (png if name == "PNG" else tiff).write(file, pixels, metadata)
        return
    settings: dict[str, Any] = {}
    if metadata.dpi is not None and name != "WEBP":
        settings["dpi"] = metadata.dpi
    if name != "BMP":
        settings |= {"quality": encoding.quality or QUALITY[name], "icc_profile": srgb()}
        settings |= {"exif": b"Exif\0\0" + metadata.exif} if metadata.exif else {}
        settings |= {"xmp": metadata.xmp} if metadata.xmp else {}
    if name == "JPEG":
        settings |= {"subsampling": "4:4:4", "comment": metadata.texts.get("Comment", "").encode()}
        if metadata.iptc is not None:
            body = b"Photoshop 3.0\0" + iptc_resource(metadata.iptc)
            settings["extra"] = b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body
    Image.fromarray(pixels).save(file, name, **settings)


def _described(
    photo: Photo, name: str, provenance: Provenance | None, notes: list[str]
) -> Metadata:
    """Return the result's metadata: the photo's without what no longer applies.

    notes: receives what the format can't store.
    """
    found = photo.metadata
    if name == "BMP":
        if found != Metadata(dpi=found.dpi):
            notes.append("metadata left out: BMP stores none")
        if provenance is not None:
            notes.append("BMP can't record that it was colorized; other formats can")
        return Metadata(dpi=found.dpi)
    # Metadata without a field in the format goes into XMP.
    texts, iptc = found.texts if name == "PNG" else {}, found.iptc
    comment = found.texts.get("Comment", "")
    if name == "JPEG" and 0 < len(comment.encode()) <= _SEGMENT:
        texts = {"Comment": comment}
    if name == "WEBP" or (name == "JPEG" and len(iptc or b"") > _SEGMENT - 32):
        iptc = None
    others = {key: text for key, text in found.texts.items() if key not in texts}
    folded = as_xmp(others, None if iptc else found.iptc, notes)
    size = photo.pixels.shape[1], photo.pixels.shape[0]
    digest = hashlib.sha256()
    for top in range(0, size[1], _HASHED):
        digest.update(np.ascontiguousarray(photo.pixels[top : top + _HASHED]).data)
    seed = digest.hexdigest()
    result_id, source_id = (
        str(uuid.uuid5(uuid.NAMESPACE_OID, seed)) for seed in (f"{seed} {name} {provenance}", seed)
    )
    software = None if provenance is None else SOFTWARE
    block = exif.for_result(found.exif, size, found.dpi, software)
    packet = xmp.for_result(found.xmp, size, folded, provenance, (result_id, source_id))
    if name == "JPEG" and len(block or b"") > _SEGMENT - 6:
        notes.append("the largest parts of its EXIF left out: JPEG is limited to 64 kB")
        block = exif.shortened(block, _SEGMENT - 6)
    if name == "JPEG" and len(packet or b"") > _SEGMENT - 29:  # 29 bytes for XMP's identifier
        notes.append("its XMP left out: JPEG is limited to 64 kB")
        packet = xmp.for_result(None, size, {}, provenance, (result_id, source_id))
    return Metadata(block, packet, iptc, texts, found.dpi)


def _labeled(pixels_HW3: Any) -> Any:
    """Return a copy with a small mark in the lower right corner."""
    height, width, _ = pixels_HW3.shape
    font = ImageFont.load_default(max(8, min(height, width) // 40))
    left, top, right, bottom = font.getbbox(_LABEL)
    mark = Image.new("L", (int(right + left), int(bottom + top)), 64)
    ImageDraw.Draw(mark).text((0, 0), _LABEL, 255, font)
    levels = np.asarray(mark)[-height:, -width:, None].astype(pixels_HW3.dtype)
    levels *= np.iinfo(levels.dtype).max // 255
    first = height - len(levels)

    def labeled(top: int, bottom: int) -> np.ndarray:
        rows: np.ndarray = pixels_HW3[top:bottom].copy()
        start = max(first - top, 0)
        rows[start:, -levels.shape[1] :] = levels[max(top - first, 0) : max(bottom - first, 0)]
        return rows

    if is_rows(pixels_HW3):
        return Rows(height, labeled, pixels_HW3.step)
    return labeled(0, height)
