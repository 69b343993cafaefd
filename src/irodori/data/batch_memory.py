"""Transfer of images from loader processes to the main process."""

import mmap
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from irodori.data.images import to_square

PREFETCH = 2
"""DataLoader's `prefetch_factor`."""


class BatchMemory:
    """Shared ring buffers, one per forked worker, from which the main process reads images.

    DataLoader creates a shared-memory file for every batch, whose pages the kernel must clear and
    map: at 256×256 pixels, this takes a third of the decoding time.

    A worker is at most PREFETCH batches and one image ahead. Rows that the main process still holds
    are never overwritten; meanwhile, batches are sent as messages.

    Args:
        workers: number of loader processes.
        batch_size: size of the largest batch.
        size: side of the images in pixels.
    """

    def __init__(self, workers: int, batch_size: int, size: int) -> None:
        self.size = size
        rows = (PREFETCH + 3) * batch_size
        # Anonymous memory: containers limit /dev/shm.
        self._rings = _shared(workers, rows, size, size, 3)
        self._held = _shared(workers, rows)
        self._next = 0

    def __getstate__(self) -> dict[str, Any]:
        # Only forked processes share the memory.
        return {**self.__dict__, "_rings": _shared(0), "_held": _shared(0)}

    def resize(self, image_3HW: Tensor) -> Tensor:
        """Scale to 3×size×size; a worker writes the result to its ring while it is cached."""
        image_3HW = to_square(image_3HW, self.size)
        worker = get_worker_info()
        if worker is None or not len(self._rings) or self._held[worker.id, self._next]:
            return image_3HW
        # Decoders return channels-last images; transposing would take half the decoding time.
        row_HW3 = torch.from_numpy(self._rings[worker.id, self._next])
        self._next = (self._next + 1) % self._rings.shape[1]
        return row_HW3.copy_(image_3HW.permute(1, 2, 0)).permute(2, 0, 1)

    def collate(self, images: Sequence[Tensor]) -> dict[str, Any]:
        """Return B images 3×size×size as `pixels` (B×size×size×3), or their rows as `ring`."""
        worker = get_worker_info()
        if worker is not None and len(self._rings):
            ring = self._rings[worker.id]
            start, step = images[0].data_ptr(), ring.strides[0]
            first = (start - ring.ctypes.data) / step
            expected = range(start, start + step * len(images), step)
            # False if a replacement for a damaged image or the output of a later stage is among
            # them.
            consecutive = [image.data_ptr() for image in images] == list(expected)
            if consecutive and first in range(len(ring) - len(images) + 1):
                return {"ring": (worker.id, int(first), len(images))}
        return {"pixels": np.stack([image_3HW.permute(1, 2, 0).numpy() for image_3HW in images])}

    def received(self, batches: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Convert the batches in the main process: `images` (B×3×size×size), arrays to tensors.

        Arrays are part of DataLoader's message. For each tensor, however small, it would create a
        file and a connection, which takes a millisecond and may exceed the limit of open files.
        """
        for batch in batches:
            if "ring" in batch:
                worker, first, count = batch.pop("ring")
                rows = slice(first, first + count)
                batch["pixels"] = self._rings[worker, rows]
                self._held[worker, rows] = 1
                # The tensor keeps the array alive, and its views keep the tensor's memory alive.
                weakref.finalize(batch["pixels"], self._held[worker, rows].fill, 0)
            batch["images"] = tensors(batch.pop("pixels")).permute(0, 3, 1, 2)
            yield tensors(batch)


def _shared(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an array of zeros in memory that forked processes share."""
    size = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, max(1, size)), np.uint8, size).reshape(shape)


def tensors(value: Any) -> Any:
    """Convert arrays in lists and dicts to tensors, pinned if CUDA is available."""
    if isinstance(value, dict):
        return {name: tensors(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tensors(item) for item in value]
    if isinstance(value, np.ndarray):
        tensor = torch.from_numpy(value)
        return tensor.pin_memory() if torch.cuda.is_available() else tensor
    return value
