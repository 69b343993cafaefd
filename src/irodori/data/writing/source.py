"""What is to be written: image files with their class and their side of the split."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from irodori.utils.errors import IrodoriError

TRAIN, VAL = "train", "val"

_ELSEWHERE = re.compile(r"/?(\.\./)*")
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")


class Entry(NamedTuple):
    """An image file, relative to the source's root, with "/" between folders.

    label: its class id, −1 for none. split: "train" or "val" as published, "" if not given.
    """

    path: str
    label: int
    split: str = ""


@dataclass(frozen=True)
class Source:
    """A source's files, in its own order, and the names of its classes.

    layout: how it was read. others: files that are no images by their names, (path, reason).
    """

    layout: str
    root: Path
    entries: list[Entry]
    classes: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()

    @property
    def has_split(self) -> bool:
        """Whether it says itself what is for validation."""
        return any(entry.split for entry in self.entries)

    def digest(self) -> str:
        """A checksum of files, classes and split, whatever the order and the root."""
        names = (*self.classes, "none")  # label −1
        lines = sorted(f"{e.path}\0{names[e.label]}\0{e.split}\n" for e in self.entries)
        return sha256((*lines, *(f"{name}\0" for name in self.classes)))


def sha256(texts: Iterable[str]) -> str:
    """The hexadecimal checksum of texts; file names that are not UTF-8 are taken as they are."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def key_of(path: str) -> str:
    """The key of a file: its path without suffix, made fit for webdataset.

    webdataset ends a key at the first dot of the last part and skips names that begin with
    `__…__`; control characters would break lists of keys.
    """
    if path.startswith(("../", "/")):  # a CSV's images lie anywhere
        path = _ELSEWHERE.sub("", path, count=1)
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    key = folder + slash + stem.replace(".", "_")
    if not key.isprintable():
        key = _UNFIT.sub("_", key)
    return key.lstrip("_") or "_" if key.startswith("__") else key


def refuse_equal_keys(entries: Iterable[Entry]) -> None:
    """Raise IrodoriError naming both if two files have the same key."""
    seen: dict[str, str] = {}
    for entry in entries:
        key = key_of(entry.path)
        if key in seen:
            both = f"{seen[key]} and {entry.path}"
            if seen[key] == entry.path:
                both = f"{entry.path} is listed twice and"
            raise IrodoriError(f"{both} would have the same key {key!r}: rename or remove one")
        seen[key] = entry.path


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The non-blank lines of a UTF-8 list, with their numbers. Raises IrodoriError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise IrodoriError(f"cannot read the list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"the list {path} is not UTF-8: save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()
