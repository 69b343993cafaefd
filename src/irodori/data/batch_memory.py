"""Memory that loader processes hand batches over in, used again and again."""

import itertools
import mmap
import weakref
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

SLOTS = 4
"""Batches per loader process: two that the loader asks for ahead, and two that are looked at."""

_made = itertools.count()
_memories: "weakref.WeakValueDictionary[int, BatchMemory]" = weakref.WeakValueDictionary()


class BatchMemory:
    """Slots of memory shared by a process and the loader processes that it forks.

    DataLoader makes a shared-memory file for every batch: the kernel has to clear and map each of
    its pages, which can take half as long as to decode the photographs in it. Here pages are made
    once. A slot is free again when nothing refers to the batch's memory any more in the process
    that took it; a batch that finds no free slot goes DataLoader's way.

    Args:
        workers: loader processes.
        num_bytes: of the largest batch.
    """

    def __init__(self, workers: int, num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self._slots = mmap.mmap(-1, workers * SLOTS * num_bytes)
        self._taken = mmap.mmap(-1, workers * SLOTS)
        self.number = next(_made)
        _memories[self.number] = self

    def room(self, shape: tuple[int, int, int, int]) -> "Room | None":
        """A free slot of this loader process for B×H×W×C uint8, if any."""
        info = get_worker_info()
        if info is None or prod(shape) > self.num_bytes:
            return None
        for slot in range(info.id * SLOTS, (info.id + 1) * SLOTS):
            if not self._taken[slot]:
                self._taken[slot] = 1
                return Room(self._view(slot, shape), SharedBatch(self.number, slot, shape))
        return None

    def take(self, slot: int, shape: tuple[int, ...]) -> Tensor:
        """The batch in a slot, without a copy; the slot is free when its memory is let go."""
        view = self._view(slot, shape)
        weakref.finalize(view, partial(self._taken.__setitem__, slot, 0))
        return torch.from_numpy(view)

    def _view(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return np.ndarray(shape, np.uint8, self._slots, slot * self.num_bytes)


class Room(NamedTuple):
    """Where a batch is written (B×H×W×C), and what then goes to the main process for it."""

    pixels: NDArray[np.uint8]
    sent: Any


class Inline:
    """A tensor that goes to the main process within the message, and arrives as a tensor.

    DataLoader would make a shared-memory file and a connection for each, however small.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self.tensor.numpy(),)


def inlined(value: Any) -> Any:
    """What a loader process sends in place of a tensor or a list of tensors."""
    if isinstance(value, Tensor):
        return Inline(value)
    return [inlined(one) for one in value] if isinstance(value, list) else value


class SharedBatch:
    """A batch of B×H×W×C on its way to the main process, where it arrives as B×C×H×W."""

    def __init__(self, memory: int, slot: int, shape: tuple[int, ...]) -> None:
        self._place = memory, slot, shape

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, self._place


def _arrived(memory: int, slot: int, shape: tuple[int, ...]) -> Tensor:
    return _memories[memory].take(slot, shape).permute(0, 3, 1, 2)
