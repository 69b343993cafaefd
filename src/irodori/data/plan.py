"""Reading plans: the order of samples as a pure function of seed, epoch and rank; weights.

A *position* is a sample's index in the epoch's order. Global batch g holds the positions
[g·batch_size, (g+1)·batch_size) for any number of ranks, so that runs on one and on two ranks see
the same batches, and a run can be resumed from any batch on any number of ranks. A rank's batches
are distributed round-robin to its workers.
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
    """A batch to load: the epoch, and its samples with their positions in the epoch's order."""

    epoch: int
    positions: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingPlan:
    """Reads every sample once per epoch, or as often as its weight says, in a new order each epoch.

    A remainder smaller than one global batch is skipped, a different one each epoch. A sample of
    weight w is drawn ⌊w⌋ or ⌈w⌉ times per epoch, w times on average: systematic sampling (W. G.
    Madow, 1949) along a random order.

    Args:
        samples: number of training samples.
        batch_size: images per optimizer step, over all ranks and micro-batches.
        accumulate: micro-batches per optimizer step.
        world_size, rank: number of processes, and rank of this one.
        seed: any integer ≥ 0.
        shard_sizes: numbers of samples of the shards, if whole shards are downloaded: each slot of
            the global batch then reads one shard after another. A batch still mixes as many shards
            as it has slots, but a rank needs only one shard per slot at a time. None for a
            permutation of all samples.
        weights: weights of the samples, at least 0; None for 1 each. Excludes `shard_sizes`.

    Raises:
        IrodoriError: ranks × micro-batches don't divide the batch size, or it exceeds the samples.
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
                f" × trainer.accumulate_grad_batches={self.accumulate} must divide it"
            )
        if self.batch_size > self.drawn:
            raise IrodoriError(
                f"data.batch_size={self.batch_size} exceeds the {self.drawn} training samples of"
                " an epoch"
            )

    @cached_property
    def drawn(self) -> int:
        """The number of samples that every epoch draws, including the remainder."""
        return self.samples if self.weights is None else int(self.weights.sum())

    @property
    def steps(self) -> int:
        """The number of optimizer steps per epoch, the same on every rank."""
        return self.drawn // self.batch_size

    @property
    def micro_batch(self) -> int:
        """The number of images per rank and micro-batch."""
        return self.batch_size // (self.world_size * self.accumulate)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the samples that an epoch draws, in order; the remainder comes last."""
        generator = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        if self.weights is not None:
            order = generator.permutation(self.samples)
            # Systematic sampling: equidistant points, 1 apart, on the cumulated weights.
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
        # The slots also start at different samples within a shard each epoch.
        walk = np.roll(walk, generator.integers(self.samples))
        used = self.steps * self.batch_size
        ways = walk[:used].reshape(self.batch_size, self.steps)
        return np.concatenate([ways.T.ravel(), walk[used:]])

    @property
    def batches(self) -> int:
        """The number of micro-batches per epoch, the same on every rank."""
        return self.steps * self.accumulate

    def limited(self, limit: float) -> int:
        """Return the micro-batches of an epoch within the trainer's `limit_train_batches`."""
        within = min(limit, self.batches) if isinstance(limit, int) else int(limit * self.batches)
        return max(1, within)

    def readings(self, epoch: int, start: int = 0) -> Iterator[Reading]:
        """Yield this rank's micro-batches of the epoch, in order, from number `start` on."""
        order = self.order(epoch)
        for number in range(start, self.batches):
            first = (number * self.world_size + self.rank) * self.micro_batch
            positions = np.arange(first, first + self.micro_batch)
            yield Reading(epoch, positions, order[positions])


@dataclass(frozen=True)
class ValidationPlan:
    """Reads every sample exactly once, in the index's order; each rank reads a contiguous part.

    All ranks make the same number of steps; a rank's last batches may be smaller than `batch_size`
    or empty.

    Args:
        samples: number of samples.
        batch_size: images per rank and step.
        world_size, rank: number of processes, and rank of this one.
    """

    samples: int
    batch_size: int
    world_size: int = 1
    rank: int = 0

    @property
    def batches(self) -> int:
        """The number of batches, the same on every rank."""
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
    """Return the weight of each sample: the product of the weights that apply to it.

    Args:
        index: the samples.
        weights: weights by class name or, if no class has this name, by prefix of keys.

    Raises:
        IrodoriError: a name applies to no sample, a weight is negative or not a number, or no
            sample remains.
    """
    keys = np.array([key for shard in index.shards for key in shard.keys], np.str_)
    result = np.ones(len(index))
    for name, weight in weights.items():
        name = str(name)  # Hydra reads 0 as a number
        if not 0 <= weight < np.inf:
            raise IrodoriError(f"data.weights: {name} is {weight}: give a number ≥ 0")
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
