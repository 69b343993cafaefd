"""The reading order of samples and their weights, a pure function of seed, epoch and rank.

A *position* is a sample's place in the epoch's order. Global batch g holds the positions
[g·batch_size, (g+1)·batch_size) whatever the number of ranks, so that a run on two ranks sees the
same batches as a run on one, and can be resumed on any number of ranks from any batch.
Batches go to a rank's workers in turn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irodori.data.index import Index
from irodori.utils.errors import IrodoriError


class Reading(NamedTuple):
    """One loader batch: the epoch, and its samples with their positions in the epoch's order."""

    epoch: int
    positions: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingPlan:
    """Every sample once an epoch, or as often as its weight says, in an order of the epoch's own.

    A remainder smaller than one global batch is left out, another one each epoch. A sample of
    weight w is drawn ⌊w⌋ or ⌈w⌉ times an epoch, and w times on average: systematic sampling
    (W. G. Madow, 1949) along a random order.

    Args:
        samples: number of samples of the training set.
        batch_size: images per optimizer step, over all ranks and micro-batches.
        accumulate: micro-batches per optimizer step.
        world_size, rank: of the process.
        seed: any integer ≥ 0.
        shard_sizes: the numbers of samples of the shards, where whole ones are fetched from afar:
            each place of the global batch then walks through shards of its own. A batch still holds
            samples of as many shards as it has places, but a rank needs only as many shards at a
            time as it has places in the batch. None for a permutation of all samples.
        weights: of the samples, at least 0; None for 1 each. Not together with `shard_sizes`.

    Raises:
        IrodoriError: ranks × micro-batches don't divide the batch, or it exceeds the samples.
    """

    samples: int
    batch_size: int
    accumulate: int = 1
    world_size: int = 1
    rank: int = 0
    seed: int = 0
    shard_sizes: tuple[int, ...] | None = None
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.batch_size % (self.world_size * self.accumulate):
            raise IrodoriError(
                f"data.batch_size={self.batch_size} is the global batch: {self.world_size} rank(s)"
                f" × trainer.accumulate={self.accumulate} must divide it"
            )
        if self.batch_size > self.drawn:
            raise IrodoriError(
                f"data.batch_size={self.batch_size} exceeds the {self.drawn} training samples"
            )

    @cached_property
    def drawn(self) -> int:
        """Number of samples that every epoch draws, those of the remainder included."""
        return self.samples if self.weights is None else int(self.weights.sum())

    @property
    def steps(self) -> int:
        """Number of optimizer steps an epoch, the same on every rank."""
        return self.drawn // self.batch_size

    @property
    def micro_batch(self) -> int:
        """Number of images per rank and micro-batch."""
        return self.batch_size // (self.world_size * self.accumulate)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the epoch's order of what it draws; the remainder comes last."""
        generator = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        if self.weights is not None:
            order = generator.permutation(self.samples)
            # Weights are laid end to end, and points of distance 1 fall on them.
            ends = np.cumsum(self.weights[order])
            points = np.arange(self.drawn + 1) + generator.random()
            points = points[points < ends[-1]]
            return generator.permutation(order[np.searchsorted(ends, points, side="right")])
        if self.shard_sizes is None:
            return generator.permutation(self.samples)
        sizes = np.array(self.shard_sizes, dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        walk = np.concatenate(
            [
                starts[shard] + generator.permutation(sizes[shard])
                for shard in generator.permutation(len(sizes))
            ]
        )
        # Where the places' ways begin within a shard is another thing each epoch, too.
        walk = np.roll(walk, generator.integers(self.samples))
        used = self.steps * self.batch_size
        ways = walk[:used].reshape(self.batch_size, self.steps)
        return np.concatenate([ways.T.ravel(), walk[used:]])

    @property
    def batches(self) -> int:
        """Number of micro-batches an epoch, the same on every rank."""
        return self.steps * self.accumulate

    def readings(self, epoch: int, start: int = 0) -> Iterator[Reading]:
        """Yield this rank's micro-batches of the epoch, in order, from number `start` on."""
        order = self.order(epoch)
        for number in range(start, self.batches):
            first = (number * self.world_size + self.rank) * self.micro_batch
            positions = np.arange(first, first + self.micro_batch)
            yield Reading(epoch, positions, order[positions])


@dataclass(frozen=True)
class ValidationPlan:
    """Every sample exactly once, in the index's order: each rank has a stretch of it.

    Ranks make equally many steps; at the end a rank's batch may be smaller than `batch_size`, or
    empty, where there is nothing left for it.

    Args:
        samples: number of samples.
        batch_size: images per rank and step.
        world_size, rank: of the process.
    """

    samples: int
    batch_size: int
    world_size: int = 1
    rank: int = 0

    @property
    def batches(self) -> int:
        """Number of batches, the same on every rank."""
        largest = -(-self.samples // self.world_size)
        return -(-largest // self.batch_size)

    def readings(self, epoch: int = 0, start: int = 0) -> Iterator[Reading]:
        """Yield this rank's batches, in order, from number `start` on."""
        first, end = (self.samples * rank // self.world_size for rank in (self.rank, self.rank + 1))
        for number in range(start, self.batches):
            low = min(first + number * self.batch_size, end)
            positions = np.arange(low, min(low + self.batch_size, end))
            yield Reading(epoch, positions, positions)


def sample_weights(index: Index, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the weight of each sample: the product of the weights that concern it.

    Args:
        index: the samples.
        weights: by a class's name or, where no class has it, by the beginning of keys.

    Raises:
        IrodoriError: a name concerns no sample, a weight is no number from 0 on, or no sample is
            left.
    """
    keys = np.array([key for shard in index.shards for key in shard.keys], np.str_)
    result = np.ones(len(index))
    for name, weight in weights.items():
        if not 0 <= weight < np.inf:
            raise IrodoriError(f"data.weights: {name} is {weight}: give a number from 0 on")
        if name in index.classes:
            concerned = index.labels == index.classes.index(name)
        else:
            concerned = np.char.startswith(keys, name)
        if not concerned.any():
            raise IrodoriError(
                f"data.weights: no training sample has the class {name!r} or a key that begins so"
            )
        result[concerned] *= weight
    if not result.any():
        raise IrodoriError("data.weights leaves no training sample: give one a weight above 0")
    return result
