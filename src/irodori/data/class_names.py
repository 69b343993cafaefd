"""The names of the classes of shards."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irodori.data.index import INDEX_NAME, Index, Shard
from irodori.utils.errors import IrodoriError
from irodori.utils.files import read_lines

_PLACES = re.compile(r"/\w/(\S+)\s+(\d+)")  # "/a/abbey 0", as in the lists of the Places database


def common_classes(train: tuple[str, ...], val: tuple[str, ...]) -> tuple[str, ...]:
    """Return the longer of two lists of class names, of which the other must be a prefix.

    Shards without names have plain numbers ("0", "1", …), which fit any names.

    Raises:
        IrodoriError: a class id has different names in training and validation.
    """
    # Names take precedence over numbers in lists of equal length.
    other, wider = sorted((train, val), key=lambda x: (len(x), x != numbered(len(x))))
    if other not in (wider[: len(other)], numbered(len(other))):
        raise IrodoriError(
            "data.train and data.val name different classes: give data.classes, one list for both"
        )
    return wider


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names, one per line in UTF-8; blank lines are ignored.

    Lines in the format of Places ("/a/abbey 0") are reduced to the name ("abbey").

    Raises:
        IrodoriError: the file cannot be read, is empty, or holds a name twice.
    """
    path = Path(path).expanduser()
    names: list[str] = []
    for number, line in read_lines(path):
        match = _PLACES.fullmatch(line)
        name = match[1] if match else line
        if match and int(match[2]) != len(names):
            raise IrodoriError(
                f"{path}, line {number}: class {name!r} has id {match[2]} but is number "
                f"{len(names)} of the file (counted from 0): sort the lines by id"
            )
        if name in names:
            raise IrodoriError(f"{path}, line {number}: class {name!r} appears twice")
        names.append(name)
    if not names:
        raise IrodoriError(f"{path} contains no class names: write one per line")
    return tuple(names)


def numbered(count: int) -> tuple[str, ...]:
    """Return the numbers 0 to count − 1 as class names."""
    return tuple(map(str, range(count)))


def check_labels(shard: Shard, classes: Sequence[str]) -> None:
    """Raise IrodoriError for the first label without a class name."""
    wrong = np.flatnonzero(shard.labels >= len(classes))
    if wrong.size:
        i = int(wrong[0])
        raise IrodoriError(
            f"{shard.path}: key {shard.keys[i]!r} has class id {shard.labels[i]}, but there are "
            f"only {len(classes)} classes: give the list of classes that belongs to the shards"
        )


def stored_classes(indexes: Sequence[Index]) -> tuple[str, ...]:
    """Return the class names of the indexes, which must agree; () if no index has names."""
    lists = list(dict.fromkeys(index.classes for index in indexes))
    if len(lists) > 1:
        raise IrodoriError(
            f"{INDEX_NAME} of {indexes[0].shards[0].path} and of other folders name different"
            " classes: give one list of classes for all shards"
        )
    return lists[0] if lists else ()
