"""Memory that loader processes hand images over in, used again and again."""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info

PREFETCH = 2
"""Batches that DataLoader asks a worker for ahead."""


class BatchSlots:
    """Slots for batches of images, which forked workers fill in turn and the main process copies.

    DataLoader makes a shared-memory file for every batch, and the kernel has to clear and map each
    of its pages: for 256×256 pixels that takes a third as long as to decode the photographs.
    A worker writes a batch only after it was asked for, so that one slot more than DataLoader asks
    for ahead is enough.

    Args:
        workers: loader processes.
        batch_size: images of the largest batch.
        size: their side in pixels.
    """

    def __init__(self, workers: int, batch_size: int, size: int) -> None:
        shape = workers, PREFETCH + 1, batch_size, size, size, 3
        # Anonymous memory, of which a container has more than of /dev/shm.
        memory = mmap.mmap(-1, max(1, torch.Size(shape).numel()))
        self._pixels: Tensor | None = None
        if workers:
            self._pixels = torch.frombuffer(memory, dtype=torch.uint8).view(shape)
        self._turn = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"_pixels": None, "_turn": 0}  # only a forked process has the same memory

    def stack(self, images: Sequence[Tensor]) -> Any:
        """Return B×3×H×W of B images, or in a worker their slot, for `copied`."""
        # Decoders leave pixels, not planes: turning them would take half as long as to decode them.
        pixels_HW3 = [image_3HW.permute(1, 2, 0) for image_3HW in images]
        worker = get_worker_info()
        if worker is None or self._pixels is None:
            return default_collate(pixels_HW3).permute(0, 3, 1, 2)
        self._turn = (self._turn + 1) % (PREFETCH + 1)
        slot = worker.id, self._turn, slice(len(images))
        torch.stack(pixels_HW3, out=self._pixels[slot])
        return slot

    def copied(self, batches: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the batches with their images out of the slots, in the main process."""
        for batch in batches:
            if self._pixels is not None and not isinstance(batch["images"], Tensor):
                slot_BHW3 = self._pixels[tuple(batch["images"])]  # DataLoader makes it a list
                copy_BHW3 = torch.empty(
                    slot_BHW3.shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available()
                )
                batch["images"] = copy_BHW3.copy_(slot_BHW3).permute(0, 3, 1, 2)
            yield batch
