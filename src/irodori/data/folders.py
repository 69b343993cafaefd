"""The folders that shards lie in, here and behind URLs, with their indexes."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from irodori.data.index import COLUMNS, INDEX_NAME, Index, Shard, read_index, read_index_file
from irodori.data.kept_index import kept_index
from irodori.data.keys import Keys
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.download import download
from irodori.data.remote.filesystems import names_in
from irodori.data.remote.lock import locked
from irodori.data.remote.range_file import range_file
from irodori.data.remote.retry import Network, RefusedError, retrying
from irodori.data.remote.source import Stat, folder_of, in_folder, name_of, source
from irodori.data.scan import scan, scan_file
from irodori.errors import IrodoriError

DEFAULT_CACHE = Path("~/.cache/irodori")
"""Where indexes are kept if shards are not."""

AT_ONCE = 16
"""Servers' files that are asked for at the same time at the start."""


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
        self.kept = (cache or DEFAULT_CACHE).expanduser().absolute() / "indexes"
        self.cache = shard_cache(cache, limit, network)
        self.network = network
        self._indexes: dict[Path | str, Index | None] = {}

    def index(self, folder: Path | str) -> Index | None:
        """What the folder's `index.json` says, None where there is none."""
        if folder not in self._indexes:
            if isinstance(folder, str):
                self._indexes[folder] = self._fetched(folder)
            else:
                there = (folder / INDEX_NAME).is_file()
                self._indexes[folder] = read_index(folder) if there else None
        return self._indexes[folder]

    def names(self, folder: str) -> list[str]:
        """The names of the shards in a folder behind a URL: by its index, else as it lists them."""
        index = self.index(folder)
        return [shard.name for shard in index.shards] if index else names_in(folder, self.network)

    def used(self, paths: Sequence[Path | str]) -> Iterator[tuple[Path | str, Index]]:
        """The folders whose indexes list some of these shards."""
        wanted = {_in_index(path) for path in paths}
        for folder in dict.fromkeys(map(_folder, paths)):
            index = self.index(folder)
            if index and any(shard.path in wanted for shard in index.shards):
                yield folder, index

    def shards(self, paths: Sequence[Path | str]) -> list[Shard]:
        """The shards' columns, in that order.

        Raises:
            IrodoriError: a shard isn't as its index says, or is no readable tar; the cache has no
                room for a shard.
        """
        indexes = [self.index(folder) for folder in dict.fromkeys(map(_folder, paths))]
        listed = {shard.path: shard for index in indexes if index for shard in index.shards}
        made: list[Callable[[], Shard]] = []
        for path in paths:
            shard = listed.get(_in_index(path))
            if shard is None:
                made.append(partial(self._made, path))
            else:
                if isinstance(path, Path):
                    check_whole(shard)
                # The address as it was given, not as it is built from the index's name.
                made.append(partial(replace, shard, path=path))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            shards = list(pool.map(lambda make: make(), made))
        remote = [shard for shard in shards if isinstance(shard.path, str)]
        if remote and self.cache is not None:
            self.cache.check(remote)
        elif remote:
            self._check_ranges(remote[0])
        return shards

    def _made(self, path: Path | str) -> Shard:
        """A shard that no index lists: scanned, unless that was done before."""
        if isinstance(path, Path):
            try:
                stat = path.stat()
            except OSError:
                return scan(path)  # which says what is wrong
            tag = str(stat.st_mtime_ns)
            return kept_index(self.kept, path, stat.st_size, tag, partial(scan, path))
        remote = self._stat(path)
        return kept_index(
            self.kept, path, remote.num_bytes, remote.tag, partial(self._scanned, path, remote)
        )

    def _scanned(self, url: str, stat: Stat) -> Shard:
        if stat.ranges:
            with range_file(source(url, self.network.timeout), stat, self.network) as file:
                return scan_file(url, file, stat.num_bytes)
        if self.cache is None:
            raise _no_ranges(url)
        labels, offsets, sizes = (np.empty(0, dtype) for dtype in COLUMNS.values())
        shard = Shard(url, Keys(), labels, offsets, sizes, stat.num_bytes, tag=stat.tag)
        self.cache.check([shard])
        with os.fdopen(self.cache.open(shard), "rb") as file:
            return scan_file(url, file, stat.num_bytes)

    def _stat(self, url: str) -> Stat:
        return retrying(url, source(url, self.network.timeout).stat, self.network)

    def _check_ranges(self, shard: Shard) -> None:
        """Without a cache: ask for one shard before the run begins."""
        stat = self._stat(str(shard.path))
        if not stat.ranges:
            raise _no_ranges(str(shard.path))
        if stat.num_bytes != shard.num_bytes:
            raise IrodoriError(
                f"{shard.path} has changed: {stat.num_bytes} bytes, {INDEX_NAME} says"
                f" {shard.num_bytes}; restore the shard, or write the index again"
            )

    def _fetched(self, folder: str) -> Index | None:
        """The `index.json` behind a URL, kept in a file while it stays the same there."""
        url = in_folder(folder, INDEX_NAME)
        try:
            stat = self._stat(url)
        except RefusedError as error:
            if error.missing:
                return None
            raise
        digest = hashlib.sha256(url.encode()).hexdigest()[:24]
        version = hashlib.sha256(f"{stat.num_bytes} {stat.tag}".encode()).hexdigest()[:8]
        file = self.kept / f"{digest}-{version}-{INDEX_NAME}"
        try:
            with locked(self.kept / ".locks" / digest):
                if not file.is_file() or not stat.tag:
                    download(source(url, self.network.timeout), file, self.network, stat.num_bytes)
                    for other in self.kept.glob(f"{digest}-*-{INDEX_NAME}"):
                        if other != file:
                            other.unlink()
        except RefusedError:
            raise
        except OSError as error:
            raise IrodoriError(
                f"cannot keep {url} in {self.kept}: {error.strerror}; set data.cache"
            ) from error
        return read_index_file(file, partial(in_folder, folder))


def shard_cache(cache: Path | None, limit: int | None, network: Network) -> ShardCache | None:
    """The cache of shards in the folder `cache`; None without one."""
    if cache is None:
        return None
    return ShardCache(cache.expanduser().absolute() / "shards", limit, network)


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
    num_bytes = path.stat().st_size
    if num_bytes != shard.num_bytes:
        what = "is truncated" if num_bytes < shard.num_bytes else "has changed"
        raise IrodoriError(
            f"{path} {what}: {num_bytes} bytes, {INDEX_NAME} says {shard.num_bytes}; "
            f"restore the shard, or delete {INDEX_NAME} if the change is meant"
        )


def _folder(path: Path | str) -> Path | str:
    return folder_of(path) if isinstance(path, str) else path.parent


def _in_index(path: Path | str) -> Path | str:
    """A shard's place as `index` gives it, whatever way its URL is encoded."""
    return in_folder(folder_of(path), name_of(path)) if isinstance(path, str) else path


def _no_ranges(url: str) -> IrodoriError:
    return IrodoriError(
        f"{url}: the server has no range requests, which reading without a cache needs: name a"
        " folder as data.cache"
    )
