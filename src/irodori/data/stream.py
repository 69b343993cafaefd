"""Reading samples out of shards by their offsets, in loader processes."""

import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from irodori.data.images import decode
from irodori.data.index import Index
from irodori.data.plan import Reading, TrainingPlan, ValidationPlan

DRAWS = 5
"""Uniform random numbers in [0,1) that a training sample's augmentation takes."""


OPEN_FILES = 64
"""At most so many shards are held open by a process."""


class ReadingSampler(Sampler[Reading]):
    """Gives a plan's readings to the loader; Lightning tells it the epoch.

    Args:
        plan: what this rank reads.
        epoch, start: where to begin; later epochs begin at their start.
    """

    def __init__(self, plan: TrainingPlan | ValidationPlan, epoch: int = 0, start: int = 0) -> None:
        self.plan = plan
        self.epoch = epoch
        self.start = start

    def set_epoch(self, epoch: int) -> None:
        """Called before an epoch's iterator is made."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self.plan.batches

    def __iter__(self) -> Iterator[Reading]:
        return self.plan.readings(self.epoch, self.start)


class ShardDataset(Dataset[dict[str, Any]]):
    """Whole batches out of shards: item `Reading` → dict of the batch.

    An image that can't be decoded keeps its place: it is marked invalid, and a valid neighbour's
    pixels stand in for it, so that batch norm sees photographs only.

    Args:
        index: where the samples lie.
        resize: brings a decoded 3×H×W image to the size for the network.
        seed: of the augmentation; None for validation, which draws nothing and keeps a list of
            images of different sizes instead of a stack.
    """

    def __init__(self, index: Index, resize: Callable[[Tensor], Tensor], seed: int | None) -> None:
        self.index = index
        self.resize = resize
        self.seed = seed
        self._files: dict[Path, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def image(self, sample: int) -> Tensor:
        """The decoded image of a sample: 3×H×W uint8 RGB, not resized.

        Raises:
            RuntimeError, OSError: it can't be read or decoded.
        """
        shard_number, number = (int(place) for place in self.index.locate(sample))
        shard = self.index.shards[shard_number]
        size = int(shard.sizes[number])
        content = os.pread(self._file(shard.path), size, int(shard.offsets[number]))
        if len(content) != size:
            raise RuntimeError(f"the shard ends {size - len(content)} bytes too early")
        if shard.crc32 is not None and zlib.crc32(content) != shard.crc32[number]:
            raise RuntimeError("its bytes are not those that the index has the checksum of")
        return decode(content)

    def _file(self, path: Path) -> int:
        if path not in self._files:
            if len(self._files) >= OPEN_FILES:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[path] = os.open(path, os.O_RDONLY)
        return self._files[path]

    def __getitem__(self, reading: Reading) -> dict[str, Any]:
        """A batch of B = len(reading.samples) samples.

        Returns:
            `images` (B×3×size×size uint8, or for validation a list of 3×H×W), `labels` (B, −1 = no
            class), `valid` (B bool), `keys`, `bad` (a line "shard: key: reason" for each image that
            can't be decoded), and in training `draws` (B×DRAWS float32 in [0,1), a function of
            seed, epoch and position alone).
        """
        images: list[Tensor | None] = []
        labels, keys, bad = [], [], []
        places = zip(*self.index.locate(reading.samples), strict=True)
        for sample, (shard_number, number) in zip(reading.samples, places, strict=True):
            shard = self.index.shards[shard_number]
            keys.append(shard.keys[number])
            labels.append(int(shard.labels[number]))
            try:
                images.append(self.resize(self.image(sample)))
            except (RuntimeError, OSError) as error:
                images.append(None)
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                bad.append(f"{shard.path.name}: {keys[-1]}: {reason}")
        valid = torch.tensor([image is not None for image in images], dtype=torch.bool)
        stand_in = next((image for image in images if image is not None), None)
        if stand_in is None:
            stand_in = self.resize(torch.zeros(3, 8, 8, dtype=torch.uint8))
        whole = [stand_in if image is None else image for image in images]
        batch: dict[str, Any] = {
            "images": whole if self.seed is None else torch.stack(whole),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "valid": valid,
            "keys": keys,
            "bad": bad,
        }
        if self.seed is not None:
            batch["draws"] = augmentation_draws(self.seed, reading)
        return batch


def augmentation_draws(seed: int, reading: Reading) -> Tensor:
    """B×DRAWS float32 in [0,1): each sample's own, whatever rank or worker reads it.

    A counter-based generator (Philox) is set to (position, epoch) under the key `seed`, so nothing
    has to be stored to go on in the middle of an epoch.
    """
    draws = [
        np.random.Generator(
            # The lowest counter word counts up with the numbers drawn; the key's second word
            # separates these draws from the plan's.
            np.random.Philox(key=[seed, 1 << 40], counter=[0, int(position), reading.epoch, 0])
        ).random(DRAWS, dtype=np.float32)
        for position in reading.positions
    ]
    return torch.from_numpy(np.stack(draws))
