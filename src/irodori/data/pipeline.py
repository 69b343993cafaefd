"""webdataset pipelines from planned batches to batches of decoded, scaled images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import webdataset as wds
from numpy.typing import NDArray
from torch import Tensor

from irodori.data.batch_memory import BatchMemory
from irodori.data.config import Sample
from irodori.data.images import decode
from irodori.data.index import NO_CLASS
from irodori.data.plan import Reading, TrainingPlan, ValidationPlan
from irodori.data.remote.urls import name_of
from irodori.data.samples import PADDING, Samples
from irodori.data.scan import IMAGE_SUFFIXES
from irodori.utils.errors import is_out_of_memory, one_line

Stage = Callable[[Sample], Sample]
Batch = dict[str, Any]


class PlannedBatches:
    """The first stage: yields this rank's batches of an epoch, in order.

    Args:
        plan: reading plan of this rank.
        epoch, start: epoch and batch to start with; later epochs start at batch 0.
    """

    def __init__(self, plan: TrainingPlan | ValidationPlan, epoch: int = 0, start: int = 0) -> None:
        self.plan = plan
        # Shared memory, since loader processes outlive an epoch.
        self._position = torch.tensor([epoch, start]).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Move to the start of another epoch; called before its iterator is created."""
        if epoch != self._position[0]:
            self._position.copy_(torch.tensor([epoch, 0]))

    def __call__(self) -> Iterator[Reading]:
        """Return the remaining batches of the epoch."""
        return self.plan.readings(*self._position.tolist())


def training_pipeline(
    batches: PlannedBatches,
    samples: Samples,
    draws: int,
    memory: BatchMemory,
    stages: Sequence[Stage] = (),
) -> wds.DataPipeline:
    """Return the pipeline of a rank's training batches; each loader process yields its share.

    Args:
        draws: number of uniform random numbers for each sample's augmentation.
        memory: scales images and transfers them to the main process.
        stages: user-defined stages, sample → sample.
    """
    plan = batches.plan
    assert isinstance(plan, TrainingPlan)
    return wds.DataPipeline(
        batches,
        wds.split_by_worker,  # round-robin
        partial(samples.planned, seed=plan.seed),
        wds.map(CatchErrors(decode_sample)),
        *(wds.map(CatchErrors(stage)) for stage in (*stages, check_image) if stages),
        wds.map(CatchErrors(partial(resize_image, resize=memory.resize))),
        wds.batched(plan.micro_batch, partial(training_batch, draws=draws, memory=memory)),
    )


def validation_pipeline(
    batches: PlannedBatches, samples: Samples, resize: Callable[[Tensor], Tensor]
) -> wds.DataPipeline:
    """Return the pipeline of a rank's validation batches; see `training_pipeline`."""
    assert isinstance(batches.plan, ValidationPlan)
    return wds.DataPipeline(
        batches,
        wds.split_by_worker,
        samples.planned,
        wds.map(CatchErrors(decode_sample)),
        wds.map(CatchErrors(partial(resize_image, resize=resize))),
        wds.batched(batches.plan.batch_size, validation_batch),
    )


@dataclass(frozen=True)
class CatchErrors:
    """A function for `wds.map` that never drops a sample.

    webdataset's error handlers drop a failing sample, which would change all later batches. Here it
    is kept, with the reason under `__error__`, and later stages ignore it.
    """

    stage: Stage

    def __call__(self, sample: Sample) -> Sample:
        """Apply the stage to the sample, or set `__error__`."""
        if "__error__" in sample:
            return sample
        try:
            # In place, so that a large image isn't held while the next one is decoded.
            sample.update(self.stage(sample))
        except Exception as error:
            if is_out_of_memory(error):
                raise
            sample["__error__"] = one_line(error)
        return sample


def decode_sample(sample: Sample) -> Sample:
    """Return a sample's decoded `image` (3×H×W uint8) and its `cls`."""
    suffix = next(name for name in sample if name in IMAGE_SUFFIXES)
    return {"image": decode(sample.pop(suffix)), "cls": int(sample.get("cls", NO_CLASS))}


def check_image(sample: Sample) -> Sample:
    """Raise TypeError if a user-defined stage returned something other than 3×H×W uint8."""
    image_3HW = sample["image"]
    if not isinstance(image_3HW, Tensor):
        raise TypeError(f"data.stages made its image a {type(image_3HW).__name__}, not a tensor")
    if image_3HW.dtype != torch.uint8 or image_3HW.ndim != 3 or len(image_3HW) != 3:
        shape = "×".join(map(str, image_3HW.shape))
        raise TypeError(f"data.stages made its image {shape} {image_3HW.dtype}, not 3×H×W uint8")
    return {}


def resize_image(sample: Sample, resize: Callable[[Tensor], Tensor]) -> Sample:
    """Scale a sample's image."""
    return {"image": resize(sample["image"])}


def training_batch(samples: list[Sample], draws: int, memory: BatchMemory) -> Batch:
    """Return a batch of B samples for `BatchMemory.received`.

    Returns:
        The entries of `collate`, with images as in `BatchMemory.collate`, and `draws` (B×draws
        float32 in [0,1), which depend only on seed, epoch and position).
    """
    batch = collate(samples, memory.size)
    images = memory.collate(batch.pop("images"))
    seed, epoch, _ = samples[0]["__seed__"]
    positions = [sample["__seed__"][2] for sample in samples]
    return {**batch, **images, "draws": augmentation_draws(seed, epoch, positions, draws)}


def validation_batch(samples: list[Sample]) -> Batch:
    """Return a batch like `collate`, with images as arrays; empty for padding."""
    batch = collate([sample for sample in samples if sample is not PADDING])
    return {**batch, "images": [image_3HW.numpy() for image_3HW in batch["images"]]}


def collate(samples: list[Sample], size: int = 8) -> Batch:
    """Return a batch of B samples.

    A damaged image is replaced by a valid one of the batch, so that batch norm sees only
    photographs; without any valid image, by black images of size×size pixels.

    Returns:
        `images` (a list of 3×H×W uint8), `labels` (B int64, −1 = no class), `valid` (B bool),
        `keys`, `bad` (a line "shard: key: reason" for each damaged image) and `lost` (a line for
        each unreachable remote image).
    """
    valid = np.array(["__error__" not in sample for sample in samples], np.bool_)
    whole = (sample["image"] for sample in samples if "__error__" not in sample)
    stand_in = next(whole, torch.zeros(3, size, size, dtype=torch.uint8))
    bad, lost = [], []
    for sample in samples:
        if "__lost__" in sample:
            lost.append(f"{name_of(sample['__url__'])} is unreachable: {sample['__lost__']}")
        elif "__error__" in sample:
            shard = name_of(sample["__url__"])
            bad.append(f"{shard}: {sample['__key__']}: {sample['__error__']}")
    return {
        "images": [stand_in if "__error__" in sample else sample["image"] for sample in samples],
        "labels": np.array([int(sample.get("cls", NO_CLASS)) for sample in samples], np.int64),
        "valid": valid,
        "keys": [sample["__key__"] for sample in samples],
        "bad": bad,
        "lost": lost,
    }


def augmentation_draws(
    seed: int, epoch: int, positions: Sequence[int], count: int
) -> NDArray[np.float32]:
    """Return B×count numbers in [0,1) that don't depend on the rank or worker that reads a sample.

    A counter-based generator (Philox) is set to (position, epoch) with the key `seed`, so that no
    state must be stored to resume in the middle of an epoch.
    """
    # The lowest counter word advances with the numbers drawn; the key's second word separates these
    # draws from the plan's. Creating a generator per sample would take four times as long.
    philox = np.random.Philox(key=[seed, 1 << 40], counter=[0, 0, epoch, 0])
    generator = np.random.Generator(philox)
    fresh = philox.state
    draws = np.empty((len(positions), count), np.float32)
    for row, position in zip(draws, positions, strict=True):
        fresh["state"]["counter"][1] = position
        philox.state = fresh
        generator.random(out=row, dtype=np.float32)
    return draws
