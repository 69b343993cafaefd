"""Shards behind URLs, kept on this machine within a bound, shared by all its processes."""

import hashlib
import os
import random
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from irodori.data.index import Shard
from irodori.data.remote.download import (
    discard,
    download,
    note_of,
    read_note,
    sha256_of,
    write_note,
)
from irodori.data.remote.lock import locked
from irodori.data.remote.retry import Network
from irodori.data.remote.source import source
from irodori.errors import IrodoriError


@dataclass(frozen=True)
class ShardCache:
    """A folder of whole shards; the least recently used make room for others.

    It holds no open files: a reader opens a shard for a sample and closes it again, so that an
    evicted shard's space is free at once, and one that is just being read stays readable.

    Args:
        folder: where they lie, beside their parts and locks.
        limit: bytes that shards and parts take at most; None for no bound.
        network: how patiently servers are asked.
    """

    folder: Path
    limit: int | None
    network: Network

    def check(self, shards: list[Shard]) -> None:
        """Raise IrodoriError where one of these shards can never be kept."""
        largest = max(shards, key=lambda shard: shard.num_bytes)
        if self.limit is not None and largest.num_bytes > self.limit:
            raise IrodoriError(
                f"data.cache_gb={self.limit / 1e9:g} is smaller than the shard {largest.path}"
                f" ({largest.num_bytes / 1e9:.3g} GB): give the cache room for several shards"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IrodoriError(
                f"cannot make the cache folder {self.folder}: {error.strerror}; set data.cache"
            ) from error

    def path(self, shard: Shard) -> Path:
        """Where a shard is kept: another content of the same URL has another place."""
        identity = f"{shard.path}\n{shard.num_bytes}\n{shard.sha256 or shard.tag}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return self.folder / f"{digest}-{shard.name}"

    def open(self, shard: Shard) -> int:
        """A file descriptor of the whole shard, which the caller closes; fetched if need be.

        Raises:
            RefusedError: the shard can't be had.
        """
        path = self.path(shard)
        descriptor = self._opened(path, shard)
        while descriptor is None:
            with self._lock(path):
                # Another process may have fetched it meanwhile.
                descriptor = self._opened(path, shard)
                if descriptor is None and self._make_room(path, shard):
                    path.unlink(missing_ok=True)  # of another length
                    address = source(str(shard.path), self.network.timeout)
                    download(address, path, self.network, shard.num_bytes, shard.sha256)
                    descriptor = self._opened(path, shard)
            if descriptor is None:
                time.sleep(random.uniform(0.02, 0.2))  # for others' downloads to end
        return descriptor

    def drop_if_damaged(self, shard: Shard) -> bool:
        """Remove a kept shard whose bytes aren't those of its sha256; whether that was so."""
        path = self.path(shard)
        with self._lock(path):
            try:
                damaged = bool(shard.sha256) and sha256_of(path) != shard.sha256
            except FileNotFoundError:
                return True
            if damaged:
                path.unlink(missing_ok=True)
            return damaged

    def _opened(self, path: Path, shard: Shard) -> int | None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        if os.fstat(descriptor).st_size != shard.num_bytes:
            os.close(descriptor)
            return None
        os.utime(descriptor)  # The time of the last use, whatever the file system's own says.
        return descriptor

    def _lock(self, path: Path) -> AbstractContextManager[bool]:
        return locked(self.folder / ".locks" / path.name)

    def _make_room(self, path: Path, shard: Shard) -> bool:
        """Evict others until the shard fits, and reserve its place by a note."""
        if self.limit is None:
            return True
        with locked(self.folder / ".locks" / "room"):
            kept = sorted(entry for entry in self._kept() if entry[2] != path)
            excess = sum(num_bytes for _, num_bytes, _ in kept) + shard.num_bytes - self.limit
            for _, num_bytes, other in kept:
                if excess <= 0:
                    break
                # A lock that another holds is on a download under way.
                with locked(self.folder / ".locks" / other.name, wait=False) as free:
                    if free:
                        other.unlink(missing_ok=True)
                        discard(other)
                        excess -= num_bytes
            if excess > 0:
                return False
            if not note_of(path).exists():
                write_note(path, shard.num_bytes, "")
            return True

    def _kept(self) -> list[tuple[float, int, Path]]:
        """Time of the last use, bytes (of a part: those that it will have), and place of each."""
        kept: dict[Path, tuple[float, int]] = {}
        for entry in self.folder.iterdir():
            try:
                seen = entry.stat().st_mtime, entry.stat().st_size
            except FileNotFoundError:  # another process was quicker
                continue
            if not entry.name.startswith("."):
                place = entry
            elif entry.name.endswith(".note"):
                place = entry.with_name(entry.name[1:].removesuffix(".note"))
                seen = seen[0], read_note(place)[0]
            else:
                continue
            kept[place] = max(seen, kept.get(place, seen))
        return [(used, num_bytes, place) for place, (used, num_bytes) in kept.items()]
