"""Samples as webdataset yields them, read out of shards by their positions in the index."""

import os
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irodori.data.config import Sample
from irodori.data.images import decode, suffix_of
from irodori.data.index import NO_CLASS, Index, Shard
from irodori.data.plan import Reading
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import Network, RefusedError, RemoteFile, Stat
from irodori.utils.errors import one_line

PADDING: Sample = {"__key__": "", "__error__": "a batch without samples"}
"""Stands for a batch in which a validating rank has no samples left."""
OPEN_FILES = 64
"""Largest number of local shards that a process holds open."""


class Samples:
    """The samples of an index by their positions in it.

    Bytes are compared with the index's checksums, where it has them, when a run reads them for the
    first time, and those of range requests always.

    Args:
        index: where the samples lie.
        cache: keeps shards that lie behind URLs; None to read each sample by a range request.
        network: how patiently servers are asked.
    """

    def __init__(
        self, index: Index, cache: ShardCache | None = None, network: Network | None = None
    ) -> None:
        self.index = index
        self.cache = cache
        self.network = network or Network()
        self._starts = index.starts.tolist()
        # Shared by loader processes.
        self._checked = torch.zeros(len(index), dtype=torch.bool).share_memory_().numpy()
        self._files: dict[Path, int] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def __getitem__(self, position: int) -> Sample:
        """Return `__key__`, `__url__`, the image's bytes by their suffix, and `cls` if known.

        Raises:
            RuntimeError, OSError: the bytes can't be read, or aren't those that were indexed.
        """
        content = self.read(position)
        return {**self._head(position), suffix_of(content) or "jpg": content}

    def image(self, position: int) -> Tensor:
        """Return the decoded image of a sample: 3×H×W uint8 RGB, not resized.

        Raises:
            RuntimeError, OSError: it can't be read or decoded.
        """
        return decode(self.read(position))

    def planned(self, readings: Iterable[Reading], seed: int = 0) -> Iterator[Sample]:
        """Yield the samples of batches, in order, as a stage of a webdataset pipeline.

        Each has `__seed__`: the seed, the epoch, and the sample's position in the epoch's order.
        One that can't be read has `__error__`, the reason, in place of the image, and `__lost__`
        if it lies behind a URL that can't be had.
        """
        for reading in readings:
            for i, position in zip(
                reading.samples.tolist(), reading.positions.tolist(), strict=True
            ):
                try:
                    sample = self[i]
                except RefusedError as error:
                    sample = {**self._head(i), "__lost__": str(error), "__error__": ""}
                except (RuntimeError, OSError) as error:
                    sample = {**self._head(i), "__error__": one_line(error)}
                sample["__seed__"] = (seed, reading.epoch, position)
                yield sample
            if not len(reading.samples):
                yield PADDING

    def read(self, position: int) -> bytes:
        """Return the bytes of a sample's image.

        Raises:
            RuntimeError, OSError: they can't be read, or aren't those that the index describes.
        """
        shard, number = self._locate(position)
        content = self._content(shard, number)
        problem = self._problem(content, position, shard, number)
        # A damaged file of the cache is downloaded again; what the server has is as it is.
        cache = self.cache if isinstance(shard.path, str) else None
        if problem and cache and cache.drop_if_damaged(shard):
            content = self._content(shard, number)
            problem = self._problem(content, position, shard, number)
        if problem:
            raise RuntimeError(problem)
        return content

    def _head(self, position: int) -> Sample:
        """Return what is known of a sample without reading it."""
        shard, number = self._locate(position)
        head: Sample = {"__key__": shard.keys[number], "__url__": str(shard.path)}
        label = int(shard.labels[number])
        return head if label == NO_CLASS else {**head, "cls": b"%d" % label}

    def _locate(self, position: int) -> tuple[Shard, int]:
        shard = bisect_right(self._starts, position) - 1
        return self.index.shards[shard], position - self._starts[shard]

    def _content(self, shard: Shard, number: int) -> bytes:
        offset, size = int(shard.offsets[number]), int(shard.sizes[number])
        if isinstance(shard.path, Path):
            return os.pread(self._file(shard.path), size, offset)
        if self.cache is not None:
            with self.cache.open(shard) as file:
                return os.pread(file.fileno(), size, offset)
        remote = RemoteFile(shard.path, self.network)
        return remote.read(offset, size, Stat(shard.num_bytes, shard.tag))

    def _file(self, path: Path) -> int:
        if path not in self._files:
            if len(self._files) >= OPEN_FILES:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[path] = os.open(path, os.O_RDONLY)
        return self._files[path]

    def _problem(self, content: bytes, position: int, shard: Shard, number: int) -> str:
        """Return what is wrong with a sample's bytes, "" if nothing."""
        missing = int(shard.sizes[number]) - len(content)
        if missing:
            return f"the shard ends {missing} bytes too early"
        if shard.crc32 is None or self._checked[position]:
            return ""
        if zlib.crc32(content) != shard.crc32[number]:
            return "its bytes are not those that the index has the checksum of"
        self._checked[position] = isinstance(shard.path, Path)
        return ""
