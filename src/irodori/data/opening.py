"""From a pattern to an index: found, checked, scanned where needed, classes named."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from irodori.data.folders import Folders, check_whole
from irodori.data.index import NO_CLASS, Index, Shard
from irodori.data.remote.retry import Network, RefusedError
from irodori.data.shard_paths import expand, glob_of, pieces
from irodori.utils.errors import IrodoriError

PATIENT = Network()

_PLACES = re.compile(r"/\w/(\S+)\s+(\d+)")  # "/a/abbey 0", as in the lists of the Places database


def open_index(
    pattern: str,
    classes_file: str | None,
    cache: Path | None,
    limit: int | None = None,
    network: Network = PATIENT,
) -> Index:
    """`index_of` for a single pattern; the last arguments are those of `Folders`."""
    return index_of(pattern, classes_file, Folders(cache, limit, network))


def index_of(pattern: str, classes_file: str | None, folders: Folders) -> Index:
    """The index of the shards that `pattern` names (see `expand`).

    Shards that the `index.json` of their folder lists are taken from there, and those behind URLs
    aren't touched. Others are scanned once; their indexes are kept in the cache folder. Class names
    come from `classes_file`, else from `index.json`, else they are "0", "1", ….

    Raises IrodoriError for what `expand` and `scan` raise it for, for a shard that is missing,
    can't be had or has changed since its index was written, for a limit smaller than a shard, and
    for a label without a class name.
    """
    try:
        paths = expand(pattern, folders.names)
        _refuse_vanished(pattern, paths, folders)
        shards = folders.shards(paths)
    except RefusedError as error:
        raise IrodoriError(
            f"cannot read {error}; correct the address, or try again later"
        ) from None
    used = dict(folders.used(paths))
    classes = _stored_classes(used) if classes_file is None else read_classes(Path(classes_file))
    if not classes:
        top = max((int(shard.labels.max()) for shard in shards), default=NO_CLASS)
        classes = tuple(map(str, range(top + 1)))
    for shard in shards:
        _check_labels(shard, classes)
    made_by = [index.made_by for index in used.values()]
    return Index(tuple(shards), classes, made_by[0] if len(made_by) == 1 else {})


def _refuse_vanished(pattern: str, paths: Sequence[Path | str], folders: Folders) -> None:
    """A shard that was deleted doesn't match a glob any more: it must not vanish unnoticed."""
    named = set(paths)
    for piece in () if Path(pattern).expanduser().is_file() else pieces(pattern):
        for folder in {path.parent for path in named if isinstance(path, Path)}:
            index = folders.index(folder)
            for shard in index.shards if index else ():
                if shard.path not in named and shard.local.match(glob_of(piece)):
                    check_whole(shard)


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


def _check_labels(shard: Shard, classes: Sequence[str]) -> None:
    wrong = np.flatnonzero(shard.labels >= len(classes))
    if wrong.size:
        i = int(wrong[0])
        raise IrodoriError(
            f"{shard.path}: key {shard.keys[i]!r} has class id {shard.labels[i]}, but there are "
            f"only {len(classes)} classes: give the list of classes that belongs to the shards"
        )


def _stored_classes(indexes: Mapping[Path | str, Index]) -> tuple[str, ...]:
    """The class names that the indexes of all folders agree on; () if none names any."""
    lists = list(dict.fromkeys(index.classes for index in indexes.values()))
    if len(lists) > 1:
        raise IrodoriError(
            f"the indexes of {next(iter(indexes))} and of other folders name different classes: "
            "give one list of classes for all shards"
        )
    return lists[0] if lists else ()
