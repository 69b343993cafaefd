"""PNG: chunks, and 16 bits a channel, which Pillow has for gray only."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from irodori.imageio.metadata import Metadata
from irodori.imageio.pixels import Pixels, to_arrays
from irodori.imageio.profiles import deep_to_srgb, gray_levels, srgb
from irodori.imageio.sizes import refuse_size
from irodori.utils.errors import IrodoriError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

LEVEL = 1
"""zlib's level of what is written: a 12-megapixel photograph takes 1.6 s and 19.1 MB with 1, 3.0 s
and 18.5 MB with 3, 6.8 s and 18.0 MB with 6 (experiments/colorize/jpeg_quality.py)."""

_DEPTH, _COLOR = 24, 25  # where the header, always the first chunk, says them
_AFTER_HEADER = 33


def read(file: BinaryIO) -> tuple[Pixels, Metadata, int]:
    """The pixels of a PNG in its own depth, its metadata, and how the pixels stand (1 to 8).

    Raises:
        IrodoriError: cut off, animated or too large.
    """
    content = file.read()
    described, animated = _without_pixels(content)
    if animated:
        raise IrodoriError("animated; save one of its pictures as a file of its own")
    with Image.open(io.BytesIO(described), formats=["PNG"]) as image:
        refuse_size(*image.size)
        info = dict(image.info)
    metadata = Metadata.of(info)
    if content[_DEPTH] == 16:
        return _deep(content, info), metadata, metadata.orientation()
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        key = None
        if image.mode in ("1", "L", "RGB"):
            key = _key(info, 255 // ((1 << content[_DEPTH]) - 1) if image.mode == "L" else 1)
            if image.mode == "1" and key is not None:
                key = (255 if key[0] else 0,)  # Pillow's versions say 1 or 255
        return to_arrays(image, key), metadata, metadata.orientation()


def write(file: BinaryIO, colors: np.ndarray, alpha: np.ndarray | None, metadata: Metadata) -> None:
    """Write an sRGB picture; H×W×3 and H×W, both uint8 or both uint16."""
    import imagecodecs  # large: only who writes PNG waits for it

    pixels = colors if alpha is None else np.dstack([colors, alpha])
    content = imagecodecs.png_encode(np.ascontiguousarray(pixels), level=LEVEL)
    file.write(content[:_AFTER_HEADER])
    file.write(_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb())))
    if metadata.dpi is not None:
        x, y = (round(dots / 0.0254) for dots in metadata.dpi)
        if max(x, y) < 1 << 32:
            file.write(_chunk(b"pHYs", struct.pack(">LLB", x, y, 1)))
    if metadata.exif is not None:
        file.write(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp is not None:
        file.write(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    file.write(memoryview(content)[_AFTER_HEADER:])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of each chunk; ends after IEND."""
    place, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if place + 12 > len(content):
            raise IrodoriError("truncated: its end is missing")
        (size,) = struct.unpack_from(">L", content, place)
        kind = content[place + 4 : place + 8]
        end = place + 12 + size
        if end > len(content):
            raise IrodoriError("truncated: its end is missing")
        yield kind, place, end
        place = end


def _without_pixels(content: bytes) -> tuple[bytes, bool]:
    """The file without its pixels, and whether it is animated.

    Metadata may stand behind the pixels, where Pillow finds it only by decoding them.
    """
    kept, animated = [SIGNATURE], False
    for kind, start, end in _chunks(content):
        animated = animated or kind == b"acTL"
        if kind not in (b"IDAT", b"fdAT", b"fcTL", b"acTL", b"IEND"):
            kept.append(content[start:end])
    return b"".join([*kept, _chunk(b"IDAT", b""), _chunk(b"IEND", b"")]), animated


def _key(info: dict[Any, Any], scale: int = 1) -> tuple[int, ...] | None:
    """The transparent level or colour; scale: of levels of less than 8 bits."""
    found = info.get("transparency")
    if found is None or isinstance(found, bytes):
        return None
    levels = found if isinstance(found, tuple) else (found,)
    return tuple(level * scale for level in levels)


def _deep(content: bytes, info: dict[Any, Any]) -> Pixels:
    import imagecodecs

    values = np.atleast_3d(imagecodecs.png_decode(content))
    if values.dtype != np.uint16:
        raise IrodoriError("damaged: 16-bit pixels that aren't")
    channels = 3 if content[_COLOR] & 2 else 1
    colors, alpha = values[..., :channels], None
    if values.shape[2] > channels:  # a transparent colour has become alpha, too
        alpha = np.ascontiguousarray(values[..., channels])
    profile = info.get("icc_profile")
    if channels == 3:
        return Pixels(deep_to_srgb(colors, profile), alpha)
    levels = gray_levels(profile, np.uint16)
    return Pixels(colors if levels is None else levels[colors], alpha)
