"""The way of images from loader processes to the main process."""

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
"""Batches that DataLoader asks a worker for ahead."""


class BatchMemory:
    """A ring of scaled images for each forked worker, out of which the main process reads batches.

    DataLoader makes a shared-memory file for every batch, and the kernel has to clear and map each
    of its pages: for 256×256 pixels that takes a third as long as to decode the photographs.

    A worker is at most PREFETCH batches ahead, and one more image. Rows of a batch that the main
    process still holds are never written to; while they are in the way, batches go by message.

    Args:
        workers: loader processes.
        batch_size: images of the largest batch.
        size: their side in pixels.
    """

    def __init__(self, workers: int, batch_size: int, size: int) -> None:
        self.size = size
        rows = (PREFETCH + 3) * batch_size
        # Anonymous memory, of which a container has more than of /dev/shm.
        self._rings = _shared(workers, rows, size, size, 3)
        self._held = _shared(workers, rows)
        self._next = 0

    def __getstate__(self) -> dict[str, Any]:
        # Only a forked process has the same memory.
        return {**self.__dict__, "_rings": _shared(0), "_held": _shared(0)}

    def resize(self, image_3HW: Tensor) -> Tensor:
        """Scale to 3×size×size; in a worker, into the ring, while the result is in the caches."""
        image_3HW = to_square(image_3HW, self.size)
        worker = get_worker_info()
        if worker is None or not len(self._rings) or self._held[worker.id, self._next]:
            return image_3HW
        # Decoders leave pixels, not planes: turning them would take half as long as to decode them.
        row_HW3 = torch.from_numpy(self._rings[worker.id, self._next])
        self._next = (self._next + 1) % self._rings.shape[1]
        return row_HW3.copy_(image_3HW.permute(1, 2, 0)).permute(2, 0, 1)

    def collate(self, images: Sequence[Tensor]) -> dict[str, Any]:
        """Return B images 3×size×size as `pixels` (B×size×size×3), or where they lie as `ring`."""
        worker = get_worker_info()
        if worker is not None and len(self._rings):
            ring = self._rings[worker.id]
            start, step = images[0].data_ptr(), ring.strides[0]
            first = (start - ring.ctypes.data) / step
            expected = range(start, start + step * len(images), step)
            # Not so where a stand-in or an image of a later stage is among them.
            consecutive = [image.data_ptr() for image in images] == list(expected)
            if consecutive and first in range(len(ring) - len(images) + 1):
                return {"ring": (worker.id, int(first), len(images))}
        return {"pixels": np.stack([image_3HW.permute(1, 2, 0).numpy() for image_3HW in images])}

    def received(self, batches: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the batches in the main process, with `images` (B×3×size×size), and tensors.

        Arrays go within DataLoader's message. For a tensor, however small, it makes a file and a
        connection: more than some systems open at a time, and a millisecond each.
        """
        for batch in batches:
            if "ring" in batch:
                worker, first, count = batch.pop("ring")
                rows = slice(first, first + count)
                batch["pixels"] = self._rings[worker, rows]
                self._held[worker, rows] = 1
                # The tensor keeps the array, and its views keep the tensor's memory.
                weakref.finalize(batch["pixels"], self._held[worker, rows].fill, 0)
            batch["images"] = tensors(batch.pop("pixels")).permute(0, 3, 1, 2)
            yield tensors(batch)


def _shared(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return zeros that forked processes share."""
    size = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, max(1, size)), np.uint8, size).reshape(shape)


def tensors(value: Any) -> Any:
    """Return arrays in lists and dicts as tensors, pinned where there is a CUDA device."""
    if isinstance(value, dict):
        return {name: tensors(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tensors(item) for item in value]
    if isinstance(value, np.ndarray):
        tensor = torch.from_numpy(value)
        return tensor.pin_memory() if torch.cuda.is_available() else tensor
    return value
