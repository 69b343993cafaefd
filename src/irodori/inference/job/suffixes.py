"""What a file's name says of its format."""

from pathlib import PurePath

FORMATS = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF", "webp": "WEBP", "bmp": "BMP"}
"""Formats that results are written in: as the user names them, and Pillow's names."""
SHORT = {"jpg": "jpeg", "tif": "tiff"}
"""What users name them, too."""

WRITTEN = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
"""Suffixes of results; the first of each format is the one that is chosen."""

READ_ONLY = {".heic": "JPEG", ".heif": "JPEG", ".avif": "JPEG", ".mpo": "JPEG"}
"""Suffixes of photos that are read, but not written: what becomes of them."""

READ = WRITTEN.keys() | READ_ONLY.keys()
"""Suffixes by which photos are known in folders."""


def suffix_for(photo: PurePath, format: str | None) -> str:
    """The suffix of a photo's result, with its dot: its own wherever that is right.

    Args:
        photo: its name; nothing is read.
        format: of the result, Pillow's name; None: the photo's own.

    Returns:
        A suffix, or the photo's own one, known or not, where the format is its own.
    """
    own = photo.suffix.lower()
    if format is None:
        format = READ_ONLY.get(own)
    if format is None or WRITTEN.get(own) == format:
        return photo.suffix
    return next(suffix for suffix, name in WRITTEN.items() if name == format)
