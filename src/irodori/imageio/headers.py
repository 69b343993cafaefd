"""Reading size and bit depth from file headers."""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from irodori.utils.errors import IrodoriError

MAX_PIXELS = 300_000_000
"""Largest number of pixels decoded as a whole, since headers can claim any size."""
TRUNCATED = "truncated: its end is missing"
_MAX_SCANS = 100  # a progressive JPEG has about ten; each takes a pass over all pixels
# A scan's marker with its length and number of components. A video may follow the picture and
# contains the two bytes of the marker by chance.
_SCAN = re.compile(rb"\xff\xda\0(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of frames
_PNG_SAMPLES = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}  # by color type; palettes may have alpha
_JXL_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class Header(NamedTuple):
    """Properties of a picture from its file header.

    samples: number of samples per pixel. bits: bits per sample. at: offset of the bit depth in a
    JPEG file.
    """

    width: int
    height: int
    samples: int
    bits: int
    at: int = 0

    @property
    def decoded_bytes(self) -> int:
        """The decoded size in bytes."""
        return self.width * self.height * self.samples * max(1, (self.bits + 7) // 8)

    @property
    def is_large(self) -> bool:
        """Whether the picture is too large to be decoded as a whole."""
        return self.width * self.height > MAX_PIXELS

    @property
    def in_parts(self) -> str:
        """Advice on how to colorize a picture that is too large."""
        half = f"{-(-self.width // 2)} {-(-self.height // 2)}"
        return f"colorize parts (`vips crop FILE part-1.tif 0 0 {half}`)"


def jpeg(content: bytes) -> Header:
    """Return the size of a JPEG file.

    Raises:
        IrodoriError: the end marker is missing, or there are too many scans. Pillow detects
            truncated data, but decodes zeros (as on a recovered disk) as gray.
    """
    place, frame = 2, None
    while place + 10 <= len(content):
        if content[place] != 0xFF:  # padding, which decoders skip
            place = content.find(b"\xff", place)
            if place < 0:
                break
            continue
        marker, size = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in _FRAMES:
            bits, height, width, samples = struct.unpack_from(">BHHB", content, place + 4)
            # Decoders keep all coefficients of a progressive file in memory, two bytes each.
            frame = Header(width, height, samples * (3 if marker & 2 else 1), bits, place + 4)
        if marker == 0xDA and frame is not None:  # scan data contains no markers
            if content.find(b"\xff\xd9", place) < 0:
                break
            if any(islice(_SCAN.finditer(content, place), _MAX_SCANS, None)):
                raise IrodoriError(f"damaged: more than {_MAX_SCANS} scans")
            return frame
        place += 2 + size if marker != 0xFF else 1
    raise IrodoriError(TRUNCATED)


def png(head: bytes) -> Header:
    """Return the size of a PNG file."""
    width, height, bits, color = struct.unpack_from(">LLBB", head.ljust(32, b"\0"), 16)
    return Header(width, height, _PNG_SAMPLES.get(color, 4), bits)


def jpeg2000(content: bytes) -> Header:
    """Return the size of a JPEG 2000 file from its codestream header."""
    at = content.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(content) < at + 43:
        raise IrodoriError(TRUNCATED)
    right, bottom, left, top = struct.unpack_from(">4L", content, at + 8)
    (samples,) = struct.unpack_from(">H", content, at + 40)
    return Header(right - left, bottom - top, samples, (content[at + 42] & 0x7F) + 1)


def jpeg_xl(content: bytes) -> Header:
    """Return the size of a JPEG XL file, assuming 16 bits."""
    if not content.startswith(b"\xff\x0a"):
        heads = {b"jxlc": 0, b"jxlp": 4}  # bytes before each part of the codestream
        parts = ((body, heads[kind]) for kind, body in boxes(content) if kind in heads)
        content = b"".join(body[head : head + 32] for body, head in parts)
    bits = int.from_bytes(content[2:18], "little")

    def take(count: int) -> int:
        nonlocal bits
        found, bits = bits & ((1 << count) - 1), bits >> count
        return found

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side()
    ratio = take(3)
    above, below = _JXL_RATIOS[ratio]
    return Header(height * above // below if ratio else side(), height, 4, 16)


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield types and contents of an ISO file's boxes, including those in a JPEG 2000 header."""
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">L4s", content, place)
        head = 8
        if size == 1 and place + 16 <= len(content):
            (size,), head = struct.unpack_from(">Q", content, place + 8), 16
        size = size if size >= head else len(content) - place
        body = content[place + head : place + size]
        if kind == b"jp2h":
            yield from boxes(body)
        else:
            yield kind, body
        place += size


BY_CONTENT = {"JPEG": jpeg, "JPEG2000": jpeg2000, "JXL": jpeg_xl}
