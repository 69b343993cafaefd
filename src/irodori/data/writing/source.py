"""Sources of shards: image files with class and split."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from irodori.utils.errors import IrodoriError
from irodori.utils.walk import walk

TRAIN, VAL = "train", "val"

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif"),
    # Images that aren't supported are listed, so that they are reported as rejected.
    *(".jp2", ".jxl"),
)
"""Suffixes of image files; the actual format is detected by content."""

_PARENTS = re.compile(r"/?(\.\./)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Entry(NamedTuple):
    """An image file; its path is relative to the source's root, with "/" as separator.

    Attributes:
        label: class id, −1 for none.
        split: published split, "train" or "val"; "" if there is none.
    """

    path: str
    label: int
    split: str = ""


@dataclass(frozen=True)
class Source:
    """The files of a source, in order, and its class names.

    Attributes:
        layout: name of the layout.
        others: (path, reason) of files that are not images by name.
        notes: remarks for the user, one line each.
    """

    layout: str
    root: Path
    entries: list[Entry]
    classes: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_split(self) -> bool:
        """Whether the source defines a validation split."""
        return any(entry.split for entry in self.entries)

    def digest(self) -> str:
        """Return a checksum of files, classes and split, independent of order and root."""
        names = (*self.classes, "none")  # label −1
        lines = sorted(f"{e.path}\0{names[e.label]}\0{e.split}\n" for e in self.entries)
        digest = hashlib.sha256()
        for text in (*lines, *(f"{name}\0" for name in self.classes)):
            digest.update(text.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def images_and_others(
    root: Path, folder: str = ""
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """Return the image files below a folder, by suffix, and the other files with a reason."""
    images: list[str] = []
    others: list[tuple[str, str]] = []
    for path in walk(root, folder):
        if path.lower().endswith(SUFFIXES):
            images.append(path)
        else:
            others.append((path, "not an image by its name"))
    return images, tuple(others)


def refuse_beside_folders(root: Path, paths: list[str]) -> None:
    """Raise IrodoriError if there are images beside the class folders, which have no class."""
    if paths:
        more = f" and {len(paths) - 1:,} more lie" if len(paths) > 1 else " lies"
        raise IrodoriError(
            f"{root / paths[0]}{more} beside the class folders: move each into the folder of its "
            "class, or all into a separate folder, whose name becomes a class"
        )


def key_of(path: str) -> str:
    """Return the key of a file: its path without suffix, made valid for webdataset.

    webdataset ends a key at the first dot of the last part and skips names that begin with `__…__`;
    control characters would corrupt lists of keys.
    """
    if path.startswith(("../", "/")):  # a CSV's images may be anywhere
        path = _PARENTS.sub("", path, count=1)
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    key = _CONTROL.sub("_", folder + slash + stem.replace(".", "_"))
    return key.lstrip("_") or "_" if key.startswith("__") else key


def key_clashes(entries: Iterable[Entry]) -> list[str]:
    """Return a line for each key that several files share."""
    files: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        files[key_of(entry.path)].append(entry.path)
    return [
        f"the key {key!r} belongs to {' and '.join(paths)}"
        for key, paths in files.items()
        if len(paths) > 1
    ]


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the non-blank lines of a UTF-8 list with their numbers. Raises IrodoriError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise IrodoriError(f"cannot read the list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"the list {path} is not UTF-8: save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()
