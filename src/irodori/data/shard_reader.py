"""Reading a sample's bytes out of its shard, wherever that lies; for loader processes."""

import os
import zlib
from pathlib import Path
from typing import Any

from irodori.data.index import Shard
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import Stat, remote_file
from irodori.data.remote.retry import Network, retrying

OPEN_FILES = 64
"""At most so many local shards are held open by a process."""


class ShardReader:
    """Reads samples by their offsets, and checks them against their checksums where known.

    Args:
        cache: keeps shards that lie behind URLs; None to read each sample by a range request.
        network: how patiently servers are asked.
    """

    def __init__(self, cache: ShardCache | None = None, network: Network | None = None) -> None:
        self.cache = cache
        self.network = network or Network()
        self._files: dict[Path, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def read(self, shard: Shard, number: int) -> bytes:
        """Return the bytes of a shard's sample.

        Raises:
            RuntimeError, OSError: they can't be read, or aren't those that the index describes.
        """
        content = self._content(shard, number)
        problem = _problem(content, shard, number)
        # A damaged file of the cache is fetched again; what the server has is as it is.
        cache = self.cache if isinstance(shard.path, str) else None
        if problem and cache and cache.drop_if_damaged(shard):
            content = self._content(shard, number)
            problem = _problem(content, shard, number)
        if problem:
            raise RuntimeError(problem)
        return content

    def _content(self, shard: Shard, number: int) -> bytes:
        offset, size = int(shard.offsets[number]), int(shard.sizes[number])
        if isinstance(shard.path, Path):
            return os.pread(self._file(shard.path), size, offset)
        if self.cache is not None:
            with os.fdopen(self.cache.open(shard), "rb", buffering=0) as file:
                return os.pread(file.fileno(), size, offset)
        remote, stat = (
            remote_file(shard.path, self.network.timeout),
            Stat(shard.num_bytes, shard.tag),
        )
        return retrying(shard.path, lambda: remote.read(offset, size, stat), self.network)

    def _file(self, path: Path) -> int:
        if path not in self._files:
            if len(self._files) >= OPEN_FILES:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[path] = os.open(path, os.O_RDONLY)
        return self._files[path]


def _problem(content: bytes, shard: Shard, number: int) -> str:
    """Return what is wrong with a sample's bytes, "" if nothing."""
    missing = int(shard.sizes[number]) - len(content)
    if missing:
        return f"the shard ends {missing} bytes too early"
    if shard.crc32 is not None and zlib.crc32(content) != shard.crc32[number]:
        return "its bytes are not those that the index has the checksum of"
    return ""
