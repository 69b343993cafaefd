"""Photos in and out: of a file, nothing but the colour is changed."""

from irodori.imageio.metadata import Metadata
from irodori.imageio.photo import FORMATS, Encoding, Photo
from irodori.imageio.reading import read_photo
from irodori.imageio.writing import format_of, write_photo

__all__ = [
    "FORMATS",
    "Encoding",
    "Metadata",
    "Photo",
    "format_of",
    "read_photo",
    "write_photo",
]
