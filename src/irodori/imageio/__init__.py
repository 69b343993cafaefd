"""Reading and writing photo files so that only the color changes."""

from irodori.imageio.headers import Header
from irodori.imageio.kinds import FORMATS, READ, UNREAD, WRITTEN
from irodori.imageio.photo import (
    Encoding,
    Metadata,
    Photo,
    Provenance,
    is_colored,
    pil_to_pixels,
    pixels_to_pil,
    to_uint8,
)
from irodori.imageio.reading import probe, read_photo
from irodori.imageio.writing import OutputError, format_of, write_photo

__all__ = [
    "FORMATS",
    "READ",
    "UNREAD",
    "WRITTEN",
    "Encoding",
    "Header",
    "Metadata",
    "OutputError",
    "Photo",
    "Provenance",
    "format_of",
    "is_colored",
    "pil_to_pixels",
    "pixels_to_pil",
    "probe",
    "read_photo",
    "to_uint8",
    "write_photo",
]
