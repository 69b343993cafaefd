"""Making batches of samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from irodori.data.config import Sample
from irodori.data.index import NO_CLASS
from irodori.data.remote.urls import is_url, name_of
from irodori.data.samples import PADDING
from irodori.data.slots import BatchSlots


@dataclass(frozen=True)
class TrainingBatches:
    """Makes training batches.

    Args:
        size: side of the images in pixels.
        draws: uniform random numbers that a sample's augmentation takes.
        slots: take the images to the main process.
    """

    size: int
    draws: int
    slots: BatchSlots

    def __call__(self, samples: list[Sample]) -> dict[str, Any]:
        """Return a batch as `batch_of` does, with a stack of images and with draws.

        Returns:
            `images` (B×3×size×size uint8; in a worker a slot), and `draws` (B×draws float32 in
            [0,1), a function of seed, epoch and position alone) beside the others.
        """
        batch = batch_of(samples, self.size)
        batch["images"] = self.slots.stack(batch["images"])
        seeds = [sample["__seed__"] for sample in samples]
        seed, epoch, _ = seeds[0]
        positions = [position for _, _, position in seeds]
        batch["draws"] = augmentation_draws(seed, epoch, positions, self.draws)
        return inlined(batch)


def validation_batch(samples: list[Sample]) -> dict[str, Any]:
    """Return a batch as `batch_of` does, without the sample that pads an empty one."""
    return inlined(batch_of([sample for sample in samples if sample is not PADDING]))


def batch_of(samples: list[Sample], size: int = 8) -> dict[str, Any]:
    """Return a batch of B samples.

    A damaged image keeps its place, and a valid neighbor's pixels stand in, so that batch norm sees
    photographs only; black ones of size×size pixels where the batch has no valid image.

    Returns:
        `images` (a list of 3×H×W uint8), `labels` (B, −1 = no class), `valid` (B bool), `keys`,
        `bad` (a line "shard: key: reason" for each damaged image) and `lost` (a line for each image
        behind a URL that can't be had).
    """
    valid = ["__error__" not in sample for sample in samples]
    whole = (sample["image"] for sample in samples if "__error__" not in sample)
    stand_in = next(whole, torch.zeros(3, size, size, dtype=torch.uint8))
    labels = [int(sample.get("cls", NO_CLASS)) for sample in samples]
    failed = [sample for sample in samples if "__error__" in sample]
    return {
        "images": [
            sample["image"] if good else stand_in
            for sample, good in zip(samples, valid, strict=True)
        ],
        "labels": torch.tensor(labels, dtype=torch.int64),
        "valid": torch.tensor(valid, dtype=torch.bool),
        "keys": [sample["__key__"] for sample in samples],
        "bad": [
            f"{shard_of(sample)}: {sample['__key__']}: {sample['__error__']}"
            for sample in failed
            if "__lost__" not in sample
        ],
        "lost": [
            f"{shard_of(sample)} can't be had: {sample['__lost__']}"
            for sample in failed
            if "__lost__" in sample
        ],
    }


def shard_of(sample: Sample) -> str:
    """Return the name of a sample's shard."""
    url: str = sample["__url__"]
    return name_of(url) if is_url(url) else Path(url).name


class Inline:
    """A tensor that goes to the main process within the message, and arrives as a tensor.

    DataLoader would make a file and a connection for each, however small: more than some systems
    open at a time, and a millisecond each.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self.tensor.numpy(),)


def inlined(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the batch as a worker sends it, or as it is in the main process."""

    def sent(value: Any) -> Any:
        if isinstance(value, Tensor):
            return Inline(value)
        return [sent(item) for item in value] if isinstance(value, list) else value

    if get_worker_info() is None:
        return batch
    return {name: sent(value) for name, value in batch.items()}


def augmentation_draws(seed: int, epoch: int, positions: Sequence[int], count: int) -> Tensor:
    """Return B×count float32 in [0,1): each sample's own, whatever rank or worker reads it.

    A counter-based generator (Philox) is set to (position, epoch) under the key `seed`, so nothing
    has to be stored to resume in the middle of an epoch.
    """
    # The lowest counter word counts up with the numbers drawn; the key's second word separates
    # these draws from the plan's. A generator made for each sample would take four times as long.
    philox = np.random.Philox(key=[seed, 1 << 40], counter=[0, 0, epoch, 0])
    generator = np.random.Generator(philox)
    fresh = philox.state
    draws = np.empty((len(positions), count), np.float32)
    for row, position in zip(draws, positions, strict=True):
        fresh["state"]["counter"][1] = position
        philox.state = fresh
        generator.random(out=row, dtype=np.float32)
    return torch.from_numpy(draws)
