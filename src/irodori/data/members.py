"""The names of a shard's files: webdataset's rules, without its import, which brings torch."""

import re

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")  # in order of preference within one sample
METADATA = re.compile(r"__[^/]*__($|/)")  # the beginnings of names that webdataset skips
_KEY_AND_SUFFIX = re.compile(r"((?:.*/)?[^.]+)\.([^/]*)")


def key_and_suffix(name: str) -> tuple[str, str] | tuple[None, None]:
    """("a.b/c", "seg.png") of "a.b/c.seg.png": the key ends at the first dot of the last part.

    (None, None) for a name without a key or without a dot there.
    """
    match = _KEY_AND_SUFFIX.fullmatch(name)
    return (match[1], match[2]) if match else (None, None)
