"""The way of images from loader processes to the main process."""

import mmap
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
    """A ring of scaled images for each forked worker, which the main process copies batches from.

    DataLoader makes a shared-memory file for every batch, and the kernel has to clear and map each
    of its pages: for 256×256 pixels that takes a third as long as to decode the photographs.
    A worker writes a batch only after it was asked for, but for its first image.

    Args:
        workers: loader processes.
        batch_size: images of the largest batch.
        size: their side in pixels.
    """

    def __init__(self, workers: int, batch_size: int, size: int) -> None:
        self.size = size
        self._rings: Tensor | None = None
        self._next = 0
        if workers:
            shape = workers, (PREFETCH + 2) * batch_size, size, size, 3
            # Anonymous memory, of which a container has more than of /dev/shm.
            memory = mmap.mmap(-1, torch.Size(shape).numel())
            self._rings = torch.frombuffer(memory, dtype=torch.uint8).view(shape)

    def __getstate__(self) -> dict[str, Any]:
        # Only a forked process has the same memory.
        return {**self.__dict__, "_rings": None}

    def resize(self, image_3HW: Tensor) -> Tensor:
        """Scale to 3×size×size; in a worker, into the ring, while the result is in the caches."""
        image_3HW = to_square(image_3HW, self.size)
        if (ring := self._ring) is None:
            return image_3HW
        # Decoders leave pixels, not planes: turning them would take half as long as to decode them.
        row_HW3 = ring[self._next].copy_(image_3HW.permute(1, 2, 0))
        self._next = (self._next + 1) % len(ring)
        return row_HW3.permute(2, 0, 1)

    def collate(self, images: Sequence[Tensor]) -> dict[str, Any]:
        """Return B images 3×size×size as `pixels` (B×size×size×3), or where they lie as `ring`."""
        if (ring := self._ring) is not None:
            start, size = images[0].data_ptr(), ring[0].numel()
            first = (start - ring.data_ptr()) / size
            expected = range(start, start + size * len(images), size)
            # Not so where a stand-in or an image of a later stage is among them.
            consecutive = [image.data_ptr() for image in images] == list(expected)
            if consecutive and first in range(len(ring) - len(images) + 1):
                return {"ring": (get_worker_info().id, int(first), len(images))}
        return {"pixels": np.stack([image_3HW.permute(1, 2, 0).numpy() for image_3HW in images])}

    def received(self, batches: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the batches in the main process, with `images` (B×3×size×size), and tensors.

        Arrays go within DataLoader's message. For a tensor, however small, it makes a file and a
        connection: more than some systems open at a time, and a millisecond each.
        """
        for batch in batches:
            if "ring" in batch:
                assert self._rings is not None
                worker, first, count = batch.pop("ring")
                pixels_BHW3 = self._rings[worker, first : first + count]
                copy_BHW3 = torch.empty(
                    pixels_BHW3.shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available()
                )
                batch["images"] = copy_BHW3.copy_(pixels_BHW3).permute(0, 3, 1, 2)
            else:
                batch["images"] = tensors(batch.pop("pixels")).permute(0, 3, 1, 2)
            yield tensors(batch)

    @property
    def _ring(self) -> Tensor | None:
        worker = get_worker_info()
        return None if worker is None or self._rings is None else self._rings[worker.id]


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
