"""XMP packets: carried over, but for what the result makes wrong."""

import re

_PROPERTY = rb"(\b%s\s*=\s*[\"']|<%s>)\s*([^\"'<]*)"


def orientation(packet: bytes | None) -> int | None:
    """1 to 8, None if the packet doesn't say it."""
    found = _pattern("tiff:Orientation").search(packet or b"")
    number = found[2].strip() if found else b""
    return int(number) if number in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8") else None


def made_upright(packet: bytes | None, width: int, height: int) -> bytes | None:
    """A packet with orientation 1, these pixel dimensions and sRGB, where it speaks of them."""
    if packet is None:
        return None
    right = {
        "tiff:Orientation": "1",
        "tiff:ImageWidth": str(width),
        "tiff:ImageLength": str(height),
        "exif:PixelXDimension": str(width),
        "exif:PixelYDimension": str(height),
        "exif:ColorSpace": "1",
        "photoshop:ICCProfile": "sRGB IEC61966-2.1",
    }
    for name, value in right.items():
        packet = _pattern(name).sub(rb"\g<1>" + value.encode(), packet)
    return packet


def _pattern(name: str) -> re.Pattern[bytes]:
    """A property of a packet, as an attribute or as an element."""
    return re.compile(_PROPERTY % (name.encode(), name.encode()))
