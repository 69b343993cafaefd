"""The names of files in shards."""

import re

IMAGE_SUFFIXES = (
    *("jpg", "jpeg", "png", "webp", "jpe", "jfif"),
    *("tif", "tiff", "avif", "jp2", "bmp"),
)
"""Suffixes of images that are read, in order of preference within one sample."""

UNREADABLE_SUFFIXES = ("heic", "heif", "gif", "jxl", "psd", "dng", "cr2", "nef", "arw", "ppm")
"""Suffixes of images that are not read."""

METADATA = re.compile(r"__[^/]*__($|/)")
"""The beginnings of names that webdataset's `tar_file_iterator` skips by default."""
