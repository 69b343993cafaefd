"""PNG: chunks, and 16 bits a channel, which Pillow has for gray only."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from irodori.imageio.color import profile_of, srgb
from irodori.imageio.decoded import Decoded, from_image
from irodori.imageio.headers import TRUNCATED
from irodori.imageio.metadata import IPTC_RESOURCE, from_pillow
from irodori.imageio.photo import Metadata
from irodori.utils.errors import IrodoriError

LEVEL = 1
"""zlib's level of what is written: a 12-megapixel photograph takes 1.6 s and 19.1 MB with 1, 3.0 s
and 18.5 MB with 3, 6.8 s and 18.0 MB with 6 (experiments/colorize/jpeg_quality.py)."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH, _COLOR, _AFTER_HEADER = 24, 25, 33
_CRITICAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PIXELS = (b"IDAT", b"fdAT", b"fcTL", b"acTL", b"IEND")


def decode(content: bytes) -> Decoded:
    """Return the pixels of a PNG in its own depth, and its metadata.

    Raises:
        IrodoriError: it is cut off.
    """
    chunks = list(_chunks(content))
    kinds = [kind for kind, _ in chunks]
    if kinds.count(b"IHDR") != 1:
        raise IrodoriError("damaged: its header")
    notes = ["first picture of an animation"] if b"acTL" in kinds else []
    # Metadata may stand behind the pixels, where Pillow finds it only by decoding them; and damaged
    # metadata must not cost the photo.
    described = [chunk for kind, chunk in chunks if kind not in _PIXELS]
    try:
        image = _opened(described)
    except Exception:  # Pillow raises many kinds
        notes.append("damaged metadata left out")
        image = _opened([chunk for kind, chunk in chunks if kind in _CRITICAL[:3]])
    metadata, info = from_pillow(image.info), image.info
    space, deep = ("rgb" if content[_COLOR] & 2 else "gray"), content[_DEPTH] == 16
    profile = info.get("icc_profile")
    if profile is None and "srgb" not in info and ("gamma" in info or "chromaticity" in info):
        profile = profile_of(space, info.get("gamma", 0.45455), info.get("chromaticity", ()))
    if deep:
        values = np.atleast_3d(imagecodecs.png_decode(content))
        inks = 3 if space == "rgb" else 1
        if values.dtype != np.uint16 or values.shape[2] < inks:
            raise IrodoriError("damaged: its pixels")
        # A transparent color has become alpha, too.
        alpha = np.ascontiguousarray(values[..., inks]) if values.shape[2] > inks else None
        return Decoded(values[..., :inks], space, alpha, profile, metadata, notes)
    kept = b"".join(chunk for kind, chunk in chunks if kind in _CRITICAL)
    with PngImagePlugin.PngImageFile(io.BytesIO(_SIGNATURE + kept)) as image:
        key = image.info.get("transparency")
        if content[_COLOR] == 0 and content[_DEPTH] in (2, 4) and isinstance(key, int):
            # Pillow stretches the levels, but not the transparent one.
            image.info["transparency"] = key * 255 // ((1 << content[_DEPTH]) - 1)
        return from_image(image, profile)._replace(metadata=metadata, notes=notes)


def write(file: BinaryIO, pixels: np.ndarray, metadata: Metadata) -> None:
    """Write an sRGB picture, H×W×3 or with alpha H×W×4, uint8 or uint16."""
    content = imagecodecs.png_encode(np.ascontiguousarray(pixels), level=LEVEL)
    file.write(content[:_AFTER_HEADER])
    file.write(_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb())))
    if metadata.dpi is not None:
        x, y = (round(dots / 0.0254) for dots in metadata.dpi)
        file.write(_chunk(b"pHYs", struct.pack(">LLB", x, y, 1)))
    if metadata.exif is not None:
        file.write(_chunk(b"eXIf", metadata.exif))
    texts = dict(metadata.texts)
    if metadata.xmp is not None:
        texts["XML:com.adobe.xmp"] = metadata.xmp.decode()
    for key, text in texts.items():
        name = key.encode("latin-1", "replace")[:79]
        file.write(_chunk(b"iTXt", name + b"\0\0\0\0\0" + text.encode()))
    if metadata.iptc is not None:  # as ImageMagick does it: PNG has no place of its own
        size = struct.pack(">L", len(metadata.iptc))
        raw = IPTC_RESOURCE + b"\0\0" + size + metadata.iptc + bytes(len(metadata.iptc) % 2)
        digits = "\n".join(raw.hex()[i : i + 72] for i in range(0, 2 * len(raw), 72))
        packed = zlib.compress(f"\niptc\n{len(raw):8d}\n{digits}\n".encode())
        file.write(_chunk(b"zTXt", b"Raw profile type iptc\0\0" + packed))
    file.write(memoryview(content)[_AFTER_HEADER:])


def _opened(chunks: list[bytes]) -> Image.Image:
    content = b"".join([_SIGNATURE, *chunks, _chunk(b"IDAT", b""), _chunk(b"IEND", b"")])
    return PngImagePlugin.PngImageFile(io.BytesIO(content))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kinds and bytes of all chunks; ends after IEND."""
    place, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        (size,) = struct.unpack_from(">L", content.ljust(place + 4, b"\0"), place)
        kind, end = content[place + 4 : place + 8], place + 12 + size
        if place + 12 > len(content) or end > len(content):
            raise IrodoriError(TRUNCATED)
        yield kind, content[place:end]
        place = end
