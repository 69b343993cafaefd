"""Samples as webdataset yields them, read out of shards by their places in the index."""

from collections.abc import Iterable, Iterator

from torch import Tensor

from irodori.data.config import Sample
from irodori.data.images import decode, kind_of
from irodori.data.index import NO_CLASS, Index, Shard
from irodori.data.plan import Reading
from irodori.data.remote.retry import RefusedError
from irodori.data.shard_reader import ShardReader
from irodori.utils.errors import one_line

PADDING: Sample = {"__key__": "", "__error__": "a batch without samples"}
"""Stands for a batch in which a validating rank has no samples left."""


class Samples:
    """The samples of an index by their positions in it.

    Args:
        index: where the samples lie.
        reader: gets their bytes.
    """

    def __init__(self, index: Index, reader: ShardReader | None = None) -> None:
        self.index = index
        self.reader = reader or ShardReader()

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, position: int) -> Sample:
        """Return `__key__`, `__url__`, the image's bytes by their suffix, and `cls` if known.

        Raises:
            RuntimeError, OSError: the bytes can't be read, or aren't those that were indexed.
        """
        shard, number = (int(place) for place in self.index.locate(position))
        return self._read(self.index.shards[shard], number)

    def image(self, position: int) -> Tensor:
        """Return the decoded image of a sample: 3×H×W uint8 RGB, not resized.

        Raises:
            RuntimeError, OSError: it can't be read or decoded.
        """
        shard, number = (int(place) for place in self.index.locate(position))
        return decode(self.reader.read(self.index.shards[shard], number))

    def planned(self, readings: Iterable[Reading], seed: int = 0) -> Iterator[Sample]:
        """Yield the samples of batches, in order, as a stage of a webdataset pipeline.

        Each has `__seed__`: the seed, the epoch, and the sample's position in the epoch's order.
        One that can't be read has `__error__`, the reason, in place of the image, and `__lost__`
        if it lies behind a URL that can't be had.
        """
        for reading in readings:
            shards, numbers = (places.tolist() for places in self.index.locate(reading.samples))
            positions = reading.positions.tolist()
            for place, number, position in zip(shards, numbers, positions, strict=True):
                shard = self.index.shards[place]
                try:
                    sample = self._read(shard, number)
                except RefusedError as error:
                    sample = {**_head(shard, number), "__lost__": str(error), "__error__": ""}
                except (RuntimeError, OSError) as error:
                    sample = {**_head(shard, number), "__error__": one_line(error)}
                sample["__seed__"] = (seed, reading.epoch, position)
                yield sample
            if not positions:
                yield PADDING

    def _read(self, shard: Shard, number: int) -> Sample:
        content = self.reader.read(shard, number)
        return {**_head(shard, number), kind_of(content) or "jpg": content}


def _head(shard: Shard, number: int) -> Sample:
    """Return what is known of a sample without reading it."""
    head: Sample = {"__key__": shard.keys[number], "__url__": str(shard.path)}
    label = int(shard.labels[number])
    return head if label == NO_CLASS else {**head, "cls": b"%d" % label}
