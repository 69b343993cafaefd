"""PNG files: chunks, and 16 bits per channel, which Pillow supports for gray only."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from PIL.PngImagePlugin import PngImageFile, PngInfo, putchunk

from irodori.imageio.color import profile_of, srgb
from irodori.imageio.decoded import Decoded, from_image, split
from irodori.imageio.headers import TRUNCATED
from irodori.imageio.metadata import from_pillow, iptc_resource
from irodori.imageio.photo import Metadata
from irodori.utils.errors import IrodoriError

LEVEL = 1
"""zlib's compression level: a 12-megapixel photograph takes 1.6 s and 19.1 MB with 1, 3.0 s and
18.5 MB with 3, 6.8 s and 18.0 MB with 6 (experiments/colorize/jpeg_quality.py)."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH, _COLOR, _AFTER_HEADER = 24, 25, 33
_CRITICAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_DESCRIBING = (
    (b"iCCP", b"sRGB", b"gAMA", b"cHRM"),
    (b"eXIf", b"pHYs"),
    (b"tEXt", b"zTXt", b"iTXt"),
)


def decode(content: bytes) -> Decoded:
    """Decode a PNG at its own bit depth, with its metadata.

    Raises:
        IrodoriError: the file is truncated.
    """
    chunks = list(_chunks(content))
    kinds = [kind for kind, _ in chunks]
    if kinds.count(b"IHDR") != 1:
        raise IrodoriError("damaged: its header")
    notes = ["first picture of an animation"] if b"acTL" in kinds else []
    # Metadata may follow the pixels, where Pillow finds it only by decoding them. Damaged metadata,
    # or a text beyond Pillow's limits, must not prevent reading the photo or its color profile.
    found: list[dict[Any, Any]] = []
    for some in _DESCRIBING:
        try:
            found.append(_info(content, [chunk for kind, chunk in chunks if kind in some]))
        except Exception:  # Pillow raises many exceptions
            notes.append("damaged metadata left out")
            found.append({})
    info, texts = found[0] | found[1], found[2]
    space = "rgb" if content[_COLOR] & 2 else "gray"
    profile = info.get("icc_profile")
    if profile is None and "srgb" not in info and ("gamma" in info or "chromaticity" in info):
        profile = profile_of(space, info.get("gamma", 0.45455), info.get("chromaticity", ()))
    kept = _SIGNATURE + b"".join(chunk for kind, chunk in chunks if kind in _CRITICAL)
    if content[_DEPTH] == 16:
        decoded = split(imagecodecs.png_decode(kept), space)
    else:
        image = PngImageFile(io.BytesIO(kept))
        level = image.info.get("transparency")
        if content[_COLOR] == 0 and content[_DEPTH] in (2, 4) and isinstance(level, int):
            # Pillow scales the levels, but not the transparent one.
            image.info["transparency"] = level * 255 // ((1 << content[_DEPTH]) - 1)
        decoded = from_image(image)
    return decoded._replace(profile=profile, metadata=from_pillow(info, texts), notes=notes)


def write(file: BinaryIO, pixels: np.ndarray, metadata: Metadata) -> None:
    """Write an sRGB picture, H×W×3 or with alpha H×W×4, uint8 or uint16."""
    content = imagecodecs.png_encode(np.ascontiguousarray(pixels), level=LEVEL)
    file.write(content[:_AFTER_HEADER])
    info = PngInfo()
    info.add(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb()))
    if metadata.dpi is not None:
        x, y = (round(dots / 0.0254) for dots in metadata.dpi)
        info.add(b"pHYs", struct.pack(">LLB", x, y, 1))
    if metadata.exif is not None:
        info.add(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode())
    for key, text in metadata.texts.items():
        info.add_itxt(key.encode("latin-1", "replace")[:79].decode("latin-1"), text)
    if metadata.iptc is not None:  # as in ImageMagick: PNG has no chunk for it
        raw = iptc_resource(metadata.iptc)
        digits = "\n".join(raw.hex()[i : i + 72] for i in range(0, 2 * len(raw), 72))
        info.add_text("Raw profile type iptc", f"\niptc\n{len(raw):8d}\n{digits}\n", zip=True)
    for kind, body, *_ in info.chunks:
        putchunk(file, kind, body)
    file.write(memoryview(content)[_AFTER_HEADER:])


def _info(content: bytes, chunks: list[bytes]) -> dict[Any, Any]:
    """Return Pillow's `info` for the header of a PNG and the given chunks."""
    file = io.BytesIO(b"".join([content[:_AFTER_HEADER], *chunks]))
    file.seek(0, io.SEEK_END)
    putchunk(file, b"IDAT")
    file.seek(0)
    return PngImageFile(file).info


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and bytes of all chunks, up to IEND."""
    place, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        (size,) = struct.unpack_from(">L", content.ljust(place + 4, b"\0"), place)
        kind, end = content[place + 4 : place + 8], place + 12 + size
        if place + 12 > len(content) or end > len(content):
            raise IrodoriError(TRUNCATED)
        yield kind, content[place:end]
        place = end
