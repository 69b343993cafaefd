"""From a pattern to an index: found, downloaded, checked, scanned where needed, classes named."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irodori.data.index import INDEX_NAME, NO_CLASS, Index, Shard, read_index
from irodori.data.scan import scan
from irodori.data.shard_paths import expand, fetch, glob_of, is_url, pieces
from irodori.errors import IrodoriError

_PLACES = re.compile(r"/\w/(\S+)\s+(\d+)")  # "/a/abbey 0", as in the lists of the Places database


def open_index(pattern: str, classes_file: str | None, cache_dir: Path) -> Index:
    """The index of the shards that `pattern` names (see `expand`).

    Shards that the `index.json` of their folder lists are taken from there; others, and those
    behind URLs (downloaded into `cache_dir` first), are scanned. Class names come from
    `classes_file`, else from `index.json`, else they are "0", "1", ….

    Raises IrodoriError for what `expand`, `fetch` and `scan` raise it for, for a shard that is
    missing or has changed since its index was written, and for a label without a class name.
    """
    paths = [fetch(str(x), cache_dir) if is_url(x) else Path(x) for x in expand(pattern)]
    stored = {
        folder: read_index(folder)
        for folder in dict.fromkeys(path.parent for path in paths)
        if (folder / INDEX_NAME).is_file()
    }
    listed = {shard.path: shard for index in stored.values() for shard in index.shards}
    # A shard that was deleted does not match a glob any more: it must not vanish unnoticed.
    named = set(paths)
    for piece in () if Path(pattern).expanduser().is_file() else pieces(pattern):
        for path in listed:
            if path not in named and path.match(glob_of(piece)) and not path.exists():
                _check_whole(listed[path])
    shards = []
    for path in paths:
        if path in listed:
            _check_whole(listed[path])
        shards.append(listed.get(path) or scan(path))
    if classes_file is not None:
        classes = read_classes(Path(classes_file))
    else:
        classes = _stored_classes([stored[p.parent] for p in paths if p in listed])
    if not classes:
        top = max((int(shard.labels.max()) for shard in shards), default=NO_CLASS)
        classes = tuple(map(str, range(top + 1)))
    for shard in shards:
        _check_labels(shard, classes)
    used = [index for index in stored.values() if any(s.path in named for s in index.shards)]
    return Index(tuple(shards), classes, used[0].made_by if len(used) == 1 else {})


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names, one a line in UTF-8; blank lines do not count.

    Lines as in the lists of Places ("/a/abbey 0") give the name alone ("abbey").
    Raises IrodoriError if the file cannot be read, is empty, or holds a name twice.
    """
    path = Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise IrodoriError(f"cannot read the class names {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"the class names {path} are not UTF-8: save them as UTF-8") from error
    names: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if match := _PLACES.fullmatch(name):
            name = match[1]
            if int(match[2]) != len(names):
                raise IrodoriError(
                    f"{path}, line {number}: class {name!r} has id {match[2]} but is number "
                    f"{len(names)} of the file (counted from 0): sort the lines by id"
                )
        if name in names:
            raise IrodoriError(f"{path}, line {number}: class {name!r} stands there twice")
        if name:
            names[name] = None
    if not names:
        raise IrodoriError(f"{path} holds no class names: write one a line")
    return tuple(names)


def _check_whole(shard: Shard) -> None:
    """Compare the file with its row in the index by its length, which costs nothing."""
    if not shard.path.is_file():
        raise IrodoriError(
            f"{shard.path} is missing, though {INDEX_NAME} beside it lists it: restore the shard"
        )
    num_bytes = shard.path.stat().st_size
    if num_bytes != shard.num_bytes:
        what = "is truncated" if num_bytes < shard.num_bytes else "has changed"
        raise IrodoriError(
            f"{shard.path} {what}: {num_bytes} bytes, {INDEX_NAME} says {shard.num_bytes}; "
            f"restore the shard, or delete {INDEX_NAME} if the change is meant"
        )


def _check_labels(shard: Shard, classes: Sequence[str]) -> None:
    wrong = np.flatnonzero(shard.labels >= len(classes))
    if wrong.size:
        i = int(wrong[0])
        raise IrodoriError(
            f"{shard.path}: key {shard.keys[i]!r} has class id {shard.labels[i]}, but there are "
            f"only {len(classes)} classes: give the list of classes that belongs to the shards"
        )


def _stored_classes(indexes: Sequence[Index]) -> tuple[str, ...]:
    """The class names that all indexes agree on; () if none names any."""
    lists = list(dict.fromkeys(index.classes for index in indexes))
    if len(lists) > 1:
        folders = list(dict.fromkeys(index.shards[0].path.parent for index in indexes))
        raise IrodoriError(
            f"the indexes of {folders[0]} and of other folders name different classes: "
            "give one list of classes for all shards"
        )
    return lists[0] if lists else ()
