"""Files behind URLs, kept on this machine within a bound, shared by all its processes."""

import hashlib
import os
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from irodori.data.index import Shard
from irodori.data.remote.files import RemoteFile, remote_file
from irodori.data.remote.retry import ChangedError, Network, RefusedError, retrying
from irodori.data.remote.urls import shown
from irodori.utils.errors import IrodoriError

CHUNK = 8 << 20
"""Bytes that a download asks for at once, and loses at most when it breaks."""


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
        num_bytes, url = max((shard.num_bytes, shown(str(shard.path))) for shard in shards)
        if self.limit is not None and num_bytes > self.limit:
            raise IrodoriError(
                f"data.cache_gb={self.limit / 1e9:g} is smaller than the shard {url}"
                f" ({num_bytes / 1e9:.3g} GB): give the cache room for several shards"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IrodoriError(
                f"cannot make the cache folder {self.folder}: {error.strerror}; set data.cache"
            ) from error

    def path(self, shard: Shard) -> Path:
        """Return where a shard is kept: another content of the same URL has another place."""
        identity = f"{shard.path}\n{shard.num_bytes}\n{shard.sha256 or shard.tag}"
        return self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}-{shard.name}"

    def open(self, shard: Shard) -> int:
        """Return a file descriptor of the whole shard, which the caller closes; fetch it if absent.

        Raises:
            RefusedError: the shard can't be had or written.
        """
        path = self.path(shard)
        try:
            while (descriptor := _opened(path, shard.num_bytes)) is None:
                with lock(path):
                    # Another process may have fetched it meanwhile.
                    done = path.exists() and path.stat().st_size == shard.num_bytes
                    if not done and (done := self._make_room(path, shard.num_bytes)):
                        file = remote_file(str(shard.path), self.network.timeout)
                        download(file, path, self.network, shard.num_bytes, shard.sha256)
                if not done:
                    time.sleep(random.uniform(0.02, 0.2))  # for others' downloads to end
        except RefusedError:
            raise
        except OSError as error:
            raise RefusedError(f"cannot write {path}: {error.strerror}; see data.cache") from error
        return descriptor

    def drop_if_damaged(self, shard: Shard) -> bool:
        """Remove a kept shard whose bytes aren't those of its sha256; return whether it is gone."""
        path = self.path(shard)
        with lock(path):
            if path.exists() and shard.sha256 and sha256_of(path) != shard.sha256:
                path.unlink(missing_ok=True)
            return not path.exists()

    def _make_room(self, path: Path, num_bytes: int) -> bool:
        """Evict others until the shard fits, and reserve its place by an empty part."""
        if self.limit is None:
            return True
        with lock(self.folder / "room"):
            kept = self._kept()
            kept.pop(path, None)
            excess = sum(size for _, size in kept.values()) + num_bytes - self.limit
            for other, (_, size) in sorted(kept.items(), key=lambda item: item[1]):
                if excess > 0:
                    with suppress(Timeout), lock(other, timeout=0):  # else it is on its way
                        for file in (other, part_of(other, size), tag_of(other)):
                            file.unlink(missing_ok=True)
                        excess -= size
            if excess <= 0:
                part_of(path, num_bytes).touch()
            return excess <= 0

    def _kept(self) -> dict[Path, tuple[float, int]]:
        """Return time of last use and bytes (of a part: those that it will have) of each shard."""
        kept: dict[Path, tuple[float, int]] = {}
        for entry in self.folder.iterdir():
            part = re.fullmatch(r"\.(.+)\.(\d+)\.download", entry.name)
            if part or not entry.name.startswith("."):
                with suppress(FileNotFoundError):  # another process was quicker
                    stat = entry.stat()
                    place = entry.with_name(part[1]) if part else entry
                    kept[place] = stat.st_mtime, int(part[2]) if part else stat.st_size
        return kept


def lock(path: Path, timeout: float = -1) -> FileLock:
    """Return the lock between processes and threads for what lies at `path`."""
    file = path.parent / ".locks" / path.name
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file, timeout, mode=0o666)


def part_of(path: Path, num_bytes: int) -> Path:
    """Return where a download of that length lies until it is whole."""
    return path.with_name(f".{path.name}.{num_bytes}.download")


def tag_of(path: Path) -> Path:
    """Return the file that holds the tag of what a part is of."""
    return path.with_name(f".{path.name}.tag")


def download(
    file: RemoteFile, path: Path, network: Network, num_bytes: int, sha256: str = ""
) -> None:
    """Bring a file to `path`, which nobody else may write meanwhile (see `lock`).

    A part that an earlier try or process left is continued if the server's file is unchanged.

    Args:
        num_bytes, sha256: what the file must be; "" where that is not known.

    Raises:
        RefusedError: it can't be had, or isn't as it must be.
        OSError: it can't be written.
    """
    part = part_of(path, num_bytes)
    for last in (False, True):  # once more if it changed or the network damaged it
        try:
            _continue(file, path, network, num_bytes)
            if sha256 and sha256_of(part) != sha256:
                part.unlink()
                raise ChangedError(f"{shown(file.url)} has another sha256 than its index names")
            part.replace(path)
            tag_of(path).unlink()
            return
        except ChangedError:
            if last:
                raise


def _continue(file: RemoteFile, path: Path, network: Network, num_bytes: int) -> None:
    """Bring the part to the file's length."""
    stat = retrying(file.url, file.stat, network)
    if stat.num_bytes != num_bytes:
        raise ChangedError(
            f"{shown(file.url)} has changed: {stat.num_bytes} bytes, not {num_bytes}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_of(path, num_bytes).open("ab", buffering=0) as part:
        tag = tag_of(path)
        known = stat.ranges and stat.tag and tag.exists() and tag.read_text() == stat.tag
        if not known or part.tell() > num_bytes:
            part.truncate(0)
            part.seek(0)
            tag.write_text(stat.tag)
        while (start := part.tell()) < num_bytes:
            size = min(CHUNK, num_bytes - start) if stat.ranges else num_bytes
            part.write(retrying(file.url, lambda: file.read(start, size, stat), network))  # noqa: B023
        os.fsync(part.fileno())
    if retrying(file.url, file.stat, network) != stat:
        raise ChangedError(f"{shown(file.url)} changed while it was downloaded")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a local file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path, num_bytes: int) -> int | None:
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        if os.fstat(descriptor).st_size == num_bytes:
            os.utime(descriptor)  # the time of the last use, whatever the file system's own says
            return descriptor
        os.close(descriptor)
    return None
