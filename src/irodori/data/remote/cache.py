"""A bounded local cache of remote files, shared by all processes of a machine."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from irodori.data.index import Shard
from irodori.data.remote.files import ChangedError, Network, RefusedError, RemoteFile
from irodori.data.remote.urls import redacted
from irodori.utils.errors import IrodoriError
from irodori.utils.files import sha256_of

CHUNK = 8 << 20
"""Bytes per request of a download."""
AT_ONCE = 4
"""Number of concurrent requests of a download; at most these are lost if it is killed."""


@dataclass(frozen=True)
class ShardCache:
    """A folder of whole shards, of which the least recently used are evicted.

    Readers open a shard for each sample and close it again, so that evicting a shard frees its
    space at once, except while it is being read. Only one process downloads at a time.

    Args:
        folder: folder of the shards and of an unfinished download.
        limit: size limit in bytes; None for no limit.
        network: how patiently servers are asked.
    """

    folder: Path
    limit: int | None
    network: Network

    def check(self, shards: Sequence[Shard]) -> None:
        """Raise IrodoriError if one of these shards can't be cached."""
        num_bytes, url = max((shard.num_bytes, redacted(str(shard.path))) for shard in shards)
        if self.limit is not None and num_bytes > self.limit:
            raise IrodoriError(
                f"data.cache_gb={self.limit / 1e9:g} is smaller than the shard {url}"
                f" ({num_bytes / 1e9:.3g} GB): give the cache space for several shards"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IrodoriError(
                f"cannot create the cache folder {self.folder}: {error.strerror}; set data.cache"
            ) from error

    def path(self, shard: Shard) -> Path:
        """Return the path of a cached shard, which differs for changed content of the same URL."""
        identity = f"{shard.path}\n{shard.num_bytes}\n{shard.sha256 or shard.tag}"
        return self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}-{shard.name}"

    def open(self, shard: Shard) -> BinaryIO:
        """Open a whole shard, unbuffered; download it if necessary.

        Raises:
            RefusedError: the shard can't be downloaded or written.
        """
        path = self.path(shard)
        try:
            if (file := _opened(path, shard.num_bytes)) is None:
                with self._lock():
                    # Another process may have downloaded it in the meantime.
                    if (file := _opened(path, shard.num_bytes)) is None:
                        self._download(shard, path)
                        file = path.open("rb", buffering=0)
        except RefusedError:
            raise
        except OSError as error:
            raise RefusedError(f"cannot write {path}: {error.strerror}; see data.cache") from error
        return file

    def drop_if_damaged(self, shard: Shard) -> bool:
        """Remove a cached shard if its sha256 is wrong; return whether it was removed."""
        path = self.path(shard)
        with self._lock():
            if path.exists() and shard.sha256 and sha256_of(path) != shard.sha256:
                path.unlink()
            return not path.exists()

    def _lock(self) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".lock", mode=0o666)

    def _download(self, shard: Shard, path: Path) -> None:
        """Download a shard to `path`; resume a partial download if the remote file is unchanged."""
        try:
            self._fetch(shard, path)
        except ChangedError:  # retry once if it changed meanwhile or was damaged in transfer
            self._fetch(shard, path)

    def _fetch(self, shard: Shard, path: Path) -> None:
        file = RemoteFile(str(shard.path), self.network)
        url, num_bytes, stat = redacted(file.url), shard.num_bytes, file.stat()
        if stat.num_bytes != num_bytes:
            raise ChangedError(f"{url} has changed: {stat.num_bytes} bytes, not {num_bytes}")
        version = hashlib.sha256(stat.tag.encode()).hexdigest()[:8]
        part = path.with_name(f".{path.name}.{version}.part")
        if not (stat.tag and stat.ranges):
            part.unlink(missing_ok=True)
        self._make_room(num_bytes, part)
        with part.open("ab") as out, ThreadPoolExecutor(AT_ONCE) as pool:
            step = CHUNK if stat.ranges else num_bytes
            starts = range(out.tell(), num_bytes, max(1, step))
            for first in range(0, len(starts), AT_ONCE):
                group = starts[first : first + AT_ONCE]
                sizes = [min(step, num_bytes - start) for start in group]
                out.writelines(pool.map(file.read, group, sizes, [stat] * len(group)))
            out.flush()
            os.fsync(out.fileno())
        whole = part.stat().st_size == num_bytes and file.stat() == stat
        if not whole or (shard.sha256 and sha256_of(part) != shard.sha256):
            part.unlink()
            reason = "has another sha256 than in its index" if whole else "changed meanwhile"
            raise ChangedError(f"{url} {reason}")
        part.replace(path)

    def _make_room(self, num_bytes: int, part: Path) -> None:
        """Remove the least recently used files until `num_bytes` fit."""
        if self.limit is None:
            return
        stats = {}
        for file in self.folder.iterdir():
            with suppress(FileNotFoundError):  # renamed meanwhile
                if file.is_file() and file != part:
                    stats[file] = file.stat()
        excess = num_bytes - self.limit + sum(stat.st_size for stat in stats.values())
        for file in sorted(stats, key=lambda file: stats[file].st_mtime):
            if excess > 0 and stats[file].st_size:  # keeps the lock file, which is empty
                file.unlink(missing_ok=True)
                excess -= stats[file].st_size


def cache_folder(cache: Path | None) -> Path:
    """Return a cache folder, by default irodori's own; `~/.cache` follows XDG_CACHE_HOME."""
    path, home = str(cache or "~/.cache/irodori"), os.environ.get("XDG_CACHE_HOME")
    if home and path.startswith("~/.cache/"):
        path = home + path.removeprefix("~/.cache")
    return Path(path).expanduser().absolute()


def _opened(path: Path, num_bytes: int) -> BinaryIO | None:
    """Open a cached file if it exists and is complete."""
    with suppress(FileNotFoundError):
        file = path.open("rb", buffering=0)
        if os.fstat(file.fileno()).st_size == num_bytes:
            with suppress(OSError):  # another user's file, or a read-only mount
                os.utime(file.fileno())  # records the last use independently of mount options
            return file
        file.close()
    return None
