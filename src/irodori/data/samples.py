"""Reading webdataset samples from shards by their positions in the index."""

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
from irodori.data.remote.files import ChangedError, Network, RefusedError, RemoteFile, Stat
from irodori.data.remote.urls import redacted
from irodori.utils.errors import one_line

PADDING: Sample = {"__key__": "", "__error__": "a batch without samples"}
"""Placeholder for an empty validation batch."""
OPEN_FILES = 64
"""Largest number of local shards that a process keeps open."""


class Samples:
    """The samples of an index, by position.

    If the index has checksums, they are verified when a run first reads a sample, and at every
    range request.

    Args:
        index: index of the samples.
        cache: cache of remote shards; None to read each sample by a range request.
        network: retry settings for servers.
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
            RuntimeError, OSError: the bytes can't be read, or don't match the index.
        """
        content = self.read(position)
        return {**self._head(position), suffix_of(content) or "jpg": content}

    def image(self, position: int) -> Tensor:
        """Return the decoded image of a sample: 3×H×W uint8 RGB, not resized.

        Raises:
            RuntimeError, OSError: the image can't be read or decoded.
        """
        return decode(self.read(position))

    def planned(self, readings: Iterable[Reading], seed: int = 0) -> Iterator[Sample]:
        """Yield the samples of batches, in order; a stage of a webdataset pipeline.

        Each sample has `__seed__`: the seed, the epoch, and the sample's position in the epoch's
        order. An unreadable sample has `__error__`, the reason, instead of the image, and also
        `__lost__` if it is remote and unreachable.
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
            RuntimeError, OSError: the bytes can't be read, or don't match the index.
        """
        shard, number = self._locate(position)
        content = self._content(shard, number)
        problem = self._problem(content, position, shard, number)
        # A damaged file in the cache is downloaded again; one on the server can't be repaired.
        cache = self.cache if isinstance(shard.path, str) else None
        if problem and cache and cache.drop_if_damaged(shard):
            content = self._content(shard, number)
            problem = self._problem(content, position, shard, number)
        if problem and isinstance(shard.path, str) and cache is None:
            raise ChangedError(
                f"{redacted(shard.path)} has changed: {shard.keys[number]}: {problem}"
            )
        if problem:
            raise RuntimeError(problem)
        return content

    def _head(self, position: int) -> Sample:
        """Return the entries of a sample that are known without reading it."""
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
        """Return what is wrong with a sample's bytes; "" if they are valid."""
        missing = int(shard.sizes[number]) - len(content)
        if missing:
            return f"the shard ends {missing} bytes too early"
        if shard.crc32 is None or self._checked[position]:
            return ""
        if zlib.crc32(content) != shard.crc32[number]:
            return "its bytes don't match the index's checksum"
        self._checked[position] = isinstance(shard.path, Path)
        return ""
