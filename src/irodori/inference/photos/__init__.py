"""Photos in and out: of a file, nothing but the colour is changed."""

from irodori.inference.photos.metadata import Metadata
from irodori.inference.photos.photo import FORMATS, Encoding, Photo
from irodori.inference.photos.reading import read_photo
from irodori.inference.photos.writing import format_of, write_photo

__all__ = [
    "FORMATS",
    "Encoding",
    "Metadata",
    "Photo",
    "format_of",
    "read_photo",
    "write_photo",
]
