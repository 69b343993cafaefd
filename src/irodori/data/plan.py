"""Which samples are read by whom, in what order: a pure function of seed, epoch and rank.

A *position* is a sample's place in the epoch's order. Global batch g holds the positions
[g·batch_size, (g+1)·batch_size) whatever the number of ranks, so that a run on two ranks sees the
same batches as a run on one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Reading(NamedTuple):
    """One loader batch: the epoch, and its samples with their positions in the epoch's order."""

    epoch: int
    positions: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingPlan:
    """Every sample once an epoch, in an order of the epoch's own.

    A remainder smaller than one global batch is left out, another one each epoch.

    Args:
        samples: number of samples of the training set.
        batch_size: images per optimizer step, over all ranks and micro-batches.
        accumulate: micro-batches per optimizer step.
        world_size, rank: of the process.
        seed: any integer ≥ 0.

    Raises:
        ValueError: the batch is below 1, ranks × micro-batches don't divide it, or it exceeds the
            samples.
    """

    samples: int
    batch_size: int
    accumulate: int = 1
    world_size: int = 1
    rank: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"data.batch_size={self.batch_size} is below 1")
        if self.batch_size % (self.world_size * self.accumulate):
            raise ValueError(
                f"data.batch_size={self.batch_size} is the global batch: {self.world_size} rank(s)"
                f" × trainer.accumulate={self.accumulate} must divide it"
            )
        if self.batch_size > self.samples:
            raise ValueError(
                f"data.batch_size={self.batch_size} exceeds the {self.samples} training samples"
            )

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch, the same on every rank."""
        return self.samples // self.batch_size

    @property
    def micro_batch(self) -> int:
        """Images per rank and micro-batch."""
        return self.batch_size // (self.world_size * self.accumulate)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The epoch's order of all samples."""
        generator = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        return generator.permutation(self.samples)

    @property
    def batches(self) -> int:
        """Micro-batches an epoch, the same on every rank."""
        return self.steps * self.accumulate

    def readings(self, epoch: int, start: int = 0) -> Iterator[Reading]:
        """This rank's micro-batches of the epoch, in order, from number `start` on."""
        order = self.order(epoch)
        positions = np.arange(self.steps * self.batch_size).reshape(
            self.steps * self.accumulate, self.world_size, self.micro_batch
        )
        for mine in positions[start:, self.rank]:
            yield Reading(epoch, mine, order[mine])


@dataclass(frozen=True)
class ValidationPlan:
    """Every sample exactly once, in the index's order.

    Ranks make equally many steps; at the end a rank's batch may be smaller than `batch_size`, or
    empty, where there is nothing left for it.

    Args:
        samples: number of samples.
        batch_size: images per rank and step.
        world_size, rank: of the process.

    Raises:
        ValueError: the batch is below 1.
    """

    samples: int
    batch_size: int
    world_size: int = 1
    rank: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"data.val_batch_size={self.batch_size} is below 1")

    @property
    def batches(self) -> int:
        """Batches, the same on every rank."""
        return -(-self.samples // (self.batch_size * self.world_size))

    def readings(self, epoch: int = 0, start: int = 0) -> Iterator[Reading]:
        """This rank's batches, in order, from number `start` on."""
        for step in range(start, self.batches):
            start = (step * self.world_size + self.rank) * self.batch_size
            positions = np.arange(start, min(start + self.batch_size, self.samples))
            yield Reading(epoch, positions, positions)
