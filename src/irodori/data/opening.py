"""Opening shards by patterns: find, check and (if not indexed) scan them."""

import hashlib
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, cast

from irodori.data.class_names import (
    check_labels,
    common_classes,
    numbered,
    read_classes,
    stored_classes,
)
from irodori.data.config import DataConfig
from irodori.data.index import (
    INDEX_NAME,
    Index,
    Keys,
    Shard,
    columns_of,
    read_index,
    read_index_file,
    write_index,
)
from irodori.data.remote.cache import ShardCache, cache_folder
from irodori.data.remote.files import (
    NO_RANGES,
    MissingError,
    Network,
    RangeFile,
    RefusedError,
    RemoteFile,
    Stat,
    names_in,
)
from irodori.data.remote.urls import (
    expand,
    folder_of,
    glob_of,
    in_folder,
    name_of,
    pieces,
    redacted,
)
from irodori.data.samples import Samples
from irodori.data.scan import scan, scan_file
from irodori.utils.errors import IrodoriError

AT_ONCE = 16
"""Number of concurrent requests for remote files when shards are opened."""
INDEXES_LIMIT = 4 * 10**9
"""Size limit in bytes of the cached indexes of remote folders (least recently used)."""
SCAN_VERSION = 3
"""Version of the results of `scan`, part of the names of cached indexes."""


def open_both(config: DataConfig) -> tuple[Index, Index]:
    """Return the training and validation indexes of a configuration.

    Raises:
        IrodoriError: see `ShardOpener.open`; the fold doesn't exist; or training and validation
            shards have different classes.
    """
    opener = ShardOpener.of(config)
    train = opener.open(config.train, config.classes)
    if config.fold is not None:
        return _fold(train, config, config.fold)
    val = opener.open(config.val, config.classes)
    both = {shard.path for shard in train.shards} & {shard.path for shard in val.shards}
    if both and not config.val_seen:
        raise IrodoriError(
            f"{min(map(str, both))} is in data.train and in data.val: name it in one, or set"
            " data.fold"
        )
    if val.classes != train.classes and config.classes is None:
        classes = common_classes(train.classes, val.classes)
        train, val = replace(train, classes=classes), replace(val, classes=classes)
    return train, val


def _fold(index: Index, config: DataConfig, fold: int) -> tuple[Index, Index]:
    if config.val != config.train:
        raise IrodoriError(
            f"data.fold={fold} validates on one of the shards of data.train, but data.val"
            " names others: choose data=shards, set data.fold=null, or leave data.val out"
        )
    count = len(index.shards)
    if not 0 <= fold < count:
        raise IrodoriError(f"data.fold={fold}: {config.train} has folds 0 to {count - 1}")
    rest = index.shards[:fold] + index.shards[fold + 1 :]
    return replace(index, shards=rest), replace(index, shards=(index.shards[fold],))


class ShardOpener:
    """Creates the indexes of local and remote shards.

    Args:
        cache: folder for cached remote shards; None to read them by range requests (indexes are
            then cached in `~/.cache/irodori`).
        limit: size limit of the cached shards in bytes; None for no limit.
        network: retry settings for servers.
    """

    def __init__(
        self,
        cache: Path | None = None,
        limit: int | None = None,
        network: Network = Network(),  # noqa: B008  (frozen)
    ) -> None:
        self.indexes = ShardCache(cache_folder(cache) / "indexes", INDEXES_LIMIT, network)
        self.shards: ShardCache | None = None
        if cache is not None:
            self.shards = ShardCache(cache_folder(cache) / "shards", limit, network)
        self.network = network
        self._folders: dict[Path | str, Index | None] = {}

    @classmethod
    def of(cls, config: DataConfig) -> "ShardOpener":
        """Return the opener for a configuration."""
        cache = None if config.cache is None else Path(config.cache)
        limit = None if config.cache_gb is None else int(config.cache_gb * 1e9)
        return cls(cache, limit, Network(config.retries, config.timeout))

    def samples(self, index: Index) -> Samples:
        """Return the samples of an index, read as configured."""
        return Samples(index, self.shards, self.network)

    def open(self, pattern: str, classes_file: str | None = None) -> Index:
        """Return the index of the shards that match a pattern (see `expand`).

        Shards listed in their folder's `index.json` are taken from it, without contacting servers
        for them. Others are scanned once, and their indexes are kept in the cache folder. Class
        names come from `classes_file`, or `index.json`, or are "0", "1", ….

        Raises:
            IrodoriError: see `expand` and `scan`; a shard is missing, unreachable or has changed
                since its index was written, exceeds the limit, or has a label without a class name.
        """
        try:
            paths = expand(pattern, self._names)
            folders = [self._folder(folder) for folder in dict.fromkeys(map(_folder_of, paths))]
            listed = {s.path: (s, index) for index in folders if index for s in index.shards}
            found = [listed.get(_in_index(path)) for path in paths]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                shards = list(pool.map(self._shard, paths, [pair and pair[0] for pair in found]))
            self._refuse_vanished(pattern, set(paths), [shard for shard, _ in listed.values()])
            self._check_remote([shard for shard in shards if isinstance(shard.path, str)])
        except RefusedError as error:
            raise IrodoriError(
                f"cannot read {error}; correct the address, or try again later"
            ) from None
        used = list({id(pair[1]): pair[1] for pair in found if pair}.values())
        classes = read_classes(Path(classes_file)) if classes_file else stored_classes(used)
        classes = classes or numbered(1 + max(int(shard.labels.max()) for shard in shards))
        for shard in shards:
            check_labels(shard, classes)
        return Index(tuple(shards), classes, used[0].made_by if len(used) == 1 else {})

    def _folder(self, folder: Path | str) -> Index | None:
        """Return the index of a folder's `index.json`; None if there is none."""
        if folder not in self._folders:
            if isinstance(folder, str):
                self._folders[folder] = self._downloaded(folder)
            else:
                there = (folder / INDEX_NAME).is_file()
                self._folders[folder] = read_index(folder) if there else None
        return self._folders[folder]

    def _downloaded(self, folder: str) -> Index | None:
        """Read a remote `index.json`, cached in a file until it changes."""
        url = in_folder(folder, INDEX_NAME)
        try:
            index = _whole(url, RemoteFile(url, self.network).stat())
        except MissingError:
            return None
        self.indexes.check([index])
        path = self.indexes.path(index)
        if not index.tag:  # it may have changed
            path.unlink(missing_ok=True)
        # Another process may remove it at any time.
        return read_index_file(path, partial(in_folder, folder), self.indexes.open(index))

    def _names(self, folder: str) -> list[str]:
        """Return the names of the shards in a remote folder, from its index or its listing."""
        index = self._folder(folder)
        return [shard.name for shard in index.shards] if index else names_in(folder, self.network)

    def _shard(self, path: Path | str, listed: Shard | None) -> Shard:
        """Return a shard as listed in its index, or scan it."""
        if isinstance(path, Path):
            if listed:
                _check_length(listed)
                return listed
            if not path.is_file():
                return scan(path)  # raises an error with the reason
            state = path.stat()
            return self._kept(path, Stat(state.st_size, str(state.st_mtime_ns)))
        # The URL as given, not one built from the name in the index.
        return replace(listed, path=path) if listed else self._kept(path, self._stat(path))

    def _kept(self, path: Path | str, stat: Stat) -> Shard:
        """Scan a shard without an index, or return the cached result.

        The name of the cached file identifies the shard and its content.
        """
        identity = f"{path}\n{stat.num_bytes}\n{stat.tag}\n{SCAN_VERSION}"
        name = f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.json"
        file = self.indexes.folder / name
        if stat.tag:
            with suppress(IrodoriError):  # missing or damaged
                return replace(read_index_file(file, lambda _: path).shards[0], tag=stat.tag)
        shard = scan(path) if isinstance(path, Path) else self._scan_remote(path, stat)
        if stat.tag:
            try:
                write_index(self.indexes.folder, [shard], (), {"shard": str(path)}, name)
            except OSError as error:
                _warn(f"cannot keep indexes in {file.parent}: {error.strerror}; set data.cache")
        return shard

    def _scan_remote(self, url: str, stat: Stat) -> Shard:
        if stat.ranges:
            file = cast(BinaryIO, RangeFile(RemoteFile(url, self.network), stat))
        else:
            if self.shards is None:
                raise IrodoriError(f"{redacted(url)}: {NO_RANGES}")
            self.shards.check([shard := _whole(url, stat)])
            file = self.shards.open(shard)
        with file:
            return replace(scan_file(redacted(url), file, stat.num_bytes), path=url, tag=stat.tag)

    def _stat(self, url: str) -> Stat:
        return RemoteFile(url, self.network).stat()

    def _check_remote(self, shards: Sequence[Shard]) -> None:
        """Raise IrodoriError if remote shards can't be read as configured."""
        if shards and self.shards is not None:
            self.shards.check(shards)
        elif shards:  # check one before the run begins
            url = str(shards[0].path)
            stat = self._stat(url)
            if not stat.ranges:
                raise IrodoriError(f"{redacted(url)}: {NO_RANGES}")
            _compare_length(redacted(url), stat.num_bytes, shards[0].num_bytes)

    def _refuse_vanished(
        self, pattern: str, named: set[Path | str], listed: Sequence[Shard]
    ) -> None:
        """Raise IrodoriError for a shard that the index lists but the glob no longer matches."""
        if Path(pattern).expanduser() in named:
            return
        globs = map(glob_of, pieces(pattern.removeprefix("file://")))
        # A path alone was found, and thousands of them would be compared with thousands of shards.
        for glob in (glob for glob in globs if re.search(r"[*?]", glob)):
            for shard in listed:
                if shard.path not in named and fnmatchcase(str(shard.path), glob):
                    _check_length(shard)


def refuse_small_cache(config: DataConfig, index: Index, nodes: int) -> None:
    """Raise IrodoriError if the cache is so small that every batch would download shards again."""
    if config.cache is None or config.cache_gb is None:
        return
    sizes = [shard.num_bytes / 1e9 for shard in index.shards if isinstance(shard.path, str)]
    if config.shuffle == "shards":
        # Each position of the batch reads from a different shard.
        size = sum(sorted(sizes, reverse=True)[: config.batch_size // nodes])
        which = f"of shards that a batch of {config.batch_size} reads at the same time"
        repair = "write smaller shards"
    else:
        size = sum(sizes)
        which = "of remote shards, which data.shuffle=samples reads in random order"
        repair = "set data.shuffle=shards"
    if size > config.cache_gb:
        raise IrodoriError(
            f"data.cache_gb={config.cache_gb:g} is less than the {size:.3g} GB {which}: {repair},"
            " give the cache more room, or set data.cache=null to fetch single samples"
        )


def refuse_missing_labels(index: Index) -> None:
    """Raise IrodoriError for the first sample without a class."""
    for shard in index.shards:
        missing = (shard.labels < 0).nonzero()[0]
        if len(missing):
            raise IrodoriError(
                f"{shard.path}: {shard.keys[missing[0]]} has no class (.cls), which alpha > 0"
                " needs; add it, or train with alpha=0"
            )


def _whole(url: str, stat: Stat) -> Shard:
    """Return a file as a shard whose samples are unknown."""
    return Shard(url, Keys(), num_bytes=stat.num_bytes, tag=stat.tag, **columns_of([]))


def _check_length(shard: Shard) -> None:
    """Raise IrodoriError if a local shard is missing or its size differs from the index."""
    path = Path(shard.path)
    if not path.is_file():
        raise IrodoriError(
            f"{path} is missing, but listed in {INDEX_NAME} beside it: restore the shard"
        )
    _compare_length(path, path.stat().st_size, shard.num_bytes)


def _compare_length(path: Path | str, num_bytes: int, expected: int) -> None:
    if num_bytes != expected:
        what = "is truncated" if num_bytes < expected else "has changed"
        raise IrodoriError(
            f"{path} {what}: {num_bytes} bytes, {INDEX_NAME} says {expected};"
            f" restore the shard, or delete {INDEX_NAME} if the change is intended"
        )


def _folder_of(path: Path | str) -> Path | str:
    return folder_of(path) if isinstance(path, str) else path.parent


def _in_index(path: Path | str) -> Path | str:
    """Return a shard's path in the form of `read_index`, with a normalized URL."""
    return in_folder(folder_of(path), name_of(path)) if isinstance(path, str) else path


@cache
def _warn(line: str) -> None:
    """Print a line on stderr, once."""
    print(line, file=sys.stderr, flush=True)
