"""The folders that shards lie in, here and behind URLs, with their indexes."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from irodori.data.index import COLUMNS, INDEX_NAME, Index, Shard, read_index, read_index_file
from irodori.data.kept_index import kept_index
from irodori.data.keys import Keys
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import NO_RANGES, RangeFile, Stat, names_in, remote_file
from irodori.data.remote.retry import MissingError, Network, retrying
from irodori.data.remote.urls import folder_of, in_folder, name_of, shown
from irodori.data.scan import scan, scan_file
from irodori.utils.errors import IrodoriError

AT_ONCE = 16
"""Servers' files that are asked for at the same time at the start."""
INDEXES_LIMIT = 4 * 10**9
"""Bytes of indexes that are kept; the least recently used make room."""


class Folders:
    """Reads each folder's `index.json` once, and makes indexes of shards that have none.

    Args:
        cache: the folder that shards behind URLs will be kept in; None where they are to be read
            by range requests (indexes are then kept in `~/.cache/irodori`).
        limit: bytes that these shards may take; None for any.
        network: how patiently servers are asked.

    Methods raise RefusedError where a server can't give what is needed.
    """

    def __init__(self, cache: Path | None, limit: int | None, network: Network) -> None:
        self.kept = cache_folder(cache) / "indexes"
        self.cache = shard_cache(cache, limit, network)
        self.network = network
        self._indexes: dict[Path | str, Index | None] = {}

    def index(self, folder: Path | str) -> Index | None:
        """Return what the folder's `index.json` says, None where there is none."""
        if folder not in self._indexes:
            if isinstance(folder, str):
                self._indexes[folder] = self._fetched(folder)
            else:
                there = (folder / INDEX_NAME).is_file()
                self._indexes[folder] = read_index(folder) if there else None
        return self._indexes[folder]

    def names(self, folder: str) -> list[str]:
        """Return the names of the shards in a folder behind a URL: of its index, else as listed."""
        index = self.index(folder)
        return [shard.name for shard in index.shards] if index else names_in(folder, self.network)

    def used(self, paths: Sequence[Path | str]) -> Iterator[tuple[Path | str, Index]]:
        """Yield the folders whose indexes list some of these shards, and these indexes."""
        wanted = set(map(_in_index, paths))
        for folder in dict.fromkeys(map(_folder, paths)):
            index = self.index(folder)
            if index and any(shard.path in wanted for shard in index.shards):
                yield folder, index

    def shards(self, paths: Sequence[Path | str]) -> list[Shard]:
        """Return the shards' columns, in that order.

        Raises:
            IrodoriError: a shard isn't as its index says, or is no readable tar; the cache has no
                room for a shard.
        """
        listed = {shard.path: shard for _, index in self.used(paths) for shard in index.shards}

        def found(path: Path | str) -> Shard:
            if (shard := listed.get(_in_index(path))) is None:
                return self._made(path)
            if isinstance(path, Path):
                check_whole(shard)
            # The address as it was given, not as it is built from the index's name.
            return replace(shard, path=path)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            shards = list(pool.map(found, paths))
        remote = [shard for shard in shards if isinstance(shard.path, str)]
        if remote and self.cache is not None:
            self.cache.check(remote)
        elif remote:  # ask for one before the run begins
            url, num_bytes = str(remote[0].path), remote[0].num_bytes
            stat = self._stat(url)
            if not stat.ranges:
                raise IrodoriError(f"{shown(url)}: {NO_RANGES}")
            if stat.num_bytes != num_bytes:
                raise IrodoriError(_differs(shown(url), stat.num_bytes, num_bytes))
        return shards

    def _made(self, path: Path | str) -> Shard:
        """Scan a shard that no index lists, unless that was done before."""
        if isinstance(path, str):
            stat = self._stat(path)
            make = partial(self._scanned, path, stat)
        elif path.is_file():
            stat = Stat(path.stat().st_size, str(path.stat().st_mtime_ns))
            make = partial(scan, path)
        else:
            return scan(path)  # which says what is wrong
        return kept_index(self.kept, path, stat.num_bytes, stat.tag, make)

    def _scanned(self, url: str, stat: Stat) -> Shard:
        if stat.ranges:
            file = remote_file(url, self.network.timeout)
            content = cast(BinaryIO, RangeFile(file, stat, self.network))
            return replace(scan_file(shown(url), content, stat.num_bytes), path=url)
        if self.cache is None:
            raise IrodoriError(f"{shown(url)}: {NO_RANGES}")
        self.cache.check([shard := _whole(url, stat)])
        with os.fdopen(self.cache.open(shard), "rb") as kept:
            return replace(scan_file(shown(url), kept, stat.num_bytes), path=url)

    def _stat(self, url: str) -> Stat:
        return retrying(url, remote_file(url, self.network.timeout).stat, self.network)

    def _fetched(self, folder: str) -> Index | None:
        """Read the `index.json` behind a URL, kept in a file while it stays the same there."""
        try:
            url = in_folder(folder, INDEX_NAME)
            index = _whole(url, self._stat(url))
        except MissingError:
            return None
        kept = ShardCache(self.kept, INDEXES_LIMIT, self.network)
        kept.check([index])
        if not index.tag:  # it may have changed
            kept.path(index).unlink(missing_ok=True)
        os.close(kept.open(index))
        return read_index_file(kept.path(index), partial(in_folder, folder))


def _whole(url: str, stat: Stat) -> Shard:
    """Return a file as a shard of which no samples are known."""
    labels, offsets, sizes = (np.empty(0, dtype) for dtype in COLUMNS.values())
    return Shard(url, Keys(), labels, offsets, sizes, stat.num_bytes, tag=stat.tag)


def cache_folder(cache: Path | None) -> Path:
    """Return a cache folder, irodori's own for None; `~/.cache` is where XDG_CACHE_HOME says."""
    path, home = str(cache or "~/.cache/irodori"), os.environ.get("XDG_CACHE_HOME")
    if home and path.startswith("~/.cache/"):
        path = home + path.removeprefix("~/.cache")
    return Path(path).expanduser().absolute()


def shard_cache(cache: Path | None, limit: int | None, network: Network) -> ShardCache | None:
    """Return the cache of shards in the folder `cache`; None without one."""
    return None if cache is None else ShardCache(cache_folder(cache) / "shards", limit, network)


def check_whole(shard: Shard) -> None:
    """Compare a local file with its row in the index by its length, which costs nothing.

    Raises:
        IrodoriError: it is missing or of another length.
    """
    path = shard.local
    if not path.is_file():
        raise IrodoriError(
            f"{path} is missing, though {INDEX_NAME} beside it lists it: restore the shard"
        )
    if path.stat().st_size != shard.num_bytes:
        raise IrodoriError(_differs(path, path.stat().st_size, shard.num_bytes))


def _differs(path: Path | str, num_bytes: int, expected: int) -> str:
    what = "is truncated" if num_bytes < expected else "has changed"
    return (
        f"{path} {what}: {num_bytes} bytes, {INDEX_NAME} says {expected};"
        f" restore the shard, or delete {INDEX_NAME} if the change is meant"
    )


def _folder(path: Path | str) -> Path | str:
    return folder_of(path) if isinstance(path, str) else path.parent


def _in_index(path: Path | str) -> Path | str:
    """Return a shard's place as `index` gives it, whatever way its URL is encoded."""
    return in_folder(folder_of(path), name_of(path)) if isinstance(path, str) else path
