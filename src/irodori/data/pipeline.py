"""The webdataset pipeline: a plan's batches in, batches of decoded and scaled images out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info
from webdataset.autodecode import Decoder

from irodori.data.config import Sample
from irodori.data.images import IMAGE_SUFFIXES, decode
from irodori.data.index import NO_CLASS
from irodori.data.plan import Reading, TrainingPlan, ValidationPlan
from irodori.data.remote.urls import is_url, name_of
from irodori.data.samples import PADDING, Samples
from irodori.errors import one_line

Stage = Callable[[Sample], Sample]


class PlannedBatches:
    """The first stage: which samples this rank's batches of the epoch hold, in order.

    Args:
        plan: what this rank reads.
        epoch, start: where to begin; later epochs begin at their start.
    """

    def __init__(self, plan: TrainingPlan | ValidationPlan, epoch: int = 0, start: int = 0) -> None:
        self.plan = plan
        # Shared, because loader processes live longer than an epoch.
        self._position = torch.tensor([epoch, start]).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of another epoch; called before an epoch's iterator is made."""
        if epoch != self._position[0]:
            self._position.copy_(torch.tensor([epoch, 0]))

    def __call__(self) -> Iterator[Reading]:
        epoch, start = self._position.tolist()
        return self.plan.readings(epoch, start)


def pipeline(
    batches: PlannedBatches,
    samples: Samples,
    resize: Callable[[Tensor], Tensor],
    batch_size: int,
    stages: Sequence[Stage] = (),
    seed: int | None = None,
    draws: int = 0,
) -> wds.DataPipeline:
    """Return the pipeline of one rank; iterated in a loader process, it yields that one's share.

    Args:
        batches: what is read, in order.
        samples: where it is read from.
        resize: brings a 3×H×W uint8 image to the size for the network.
        batch_size: images per batch.
        stages: the user's, sample → sample.
        seed, draws: see `Collate`.
    """
    black = resize(torch.zeros(3, 8, 8, dtype=torch.uint8))
    return wds.DataPipeline(
        batches,
        wds.split_by_worker,  # batches go to the workers in turn
        partial(samples.planned, seed=seed or 0),
        wds.map(KeepPlace(decoded)),
        *(wds.map(KeepPlace(stage)) for stage in stages),
        wds.map(KeepPlace(partial(resized, resize=resize))),
        wds.batched(batch_size, collation_fn=Collate(black, seed, draws)),
    )


def decode_image(suffix: str, content: bytes) -> Tensor | None:
    """Decode an image file to 3×H×W uint8, as a handler of `wds.decode`."""
    return decode(content) if suffix.removeprefix(".") in IMAGE_SUFFIXES else None


_DECODER = Decoder([decode_image])


def decoded(sample: Sample) -> Sample:
    """Return the sample with its files decoded, and its image under `image`."""
    suffix = next(name for name in sample if name in IMAGE_SUFFIXES)
    sample = _DECODER(sample)
    sample["image"] = sample.pop(suffix)
    return sample


def resized(sample: Sample, resize: Callable[[Tensor], Tensor]) -> Sample:
    """Return the sample with its image scaled.

    Raises:
        TypeError: a stage of the user's left something else than 3×H×W uint8.
    """
    image_3HW = sample["image"]
    if not isinstance(image_3HW, Tensor):
        raise TypeError(f"data.stages made its image a {type(image_3HW).__name__}, not a tensor")
    if image_3HW.dtype != torch.uint8 or image_3HW.ndim != 3 or len(image_3HW) != 3:
        shape = "×".join(map(str, image_3HW.shape))
        raise TypeError(f"data.stages made its image {shape} {image_3HW.dtype}, not 3×H×W uint8")
    return {**sample, "image": resize(image_3HW)}


@dataclass(frozen=True)
class KeepPlace:
    """A function for `wds.map` that loses no sample.

    webdataset's own handlers drop a sample that a function fails for, and every batch after it
    would be another one. Here it goes on with the reason under `__error__`, and later stages leave
    it alone.
    """

    stage: Stage

    def __call__(self, sample: Sample) -> Sample:
        if "__error__" in sample:
            return sample
        try:
            return {**sample, **self.stage(sample)}
        except Exception as error:
            # webdataset's decoder wraps what went wrong.
            return {**sample, "__error__": one_line(error.__cause__ or error)}


@dataclass(frozen=True)
class Collate:
    """Makes batches; a damaged image keeps its place, and a valid neighbor's pixels stand in.

    So batch norm sees photographs only.

    Args:
        black: what stands in where a batch has no valid image, 3×H×W uint8.
        seed: of the augmentation; None for validation, which draws nothing and keeps a list of
            images of different sizes instead of a stack.
        draws: uniform random numbers that a sample's augmentation takes.
    """

    black: Tensor
    seed: int | None = None
    draws: int = 0

    def __call__(self, samples: list[Sample]) -> dict[str, Any]:
        """Return a batch of B samples.

        Returns:
            `images` (B×3×size×size uint8, or for validation a list of 3×H×W), `labels` (B, −1 = no
            class), `valid` (B bool), `keys`, `bad` (a line "shard: key: reason" for each damaged
            image), `lost` (a line for each image behind a URL that can't be had), and in training
            `draws` (B×draws float32 in [0,1), a function of seed, epoch and position alone).
        """
        samples = [sample for sample in samples if sample is not PADDING]
        valid = ["__error__" not in sample for sample in samples]
        stand_in = samples[valid.index(True)]["image"] if any(valid) else self.black
        images = [
            sample["image"] if good else stand_in
            for sample, good in zip(samples, valid, strict=True)
        ]
        batch: dict[str, Any] = {
            "labels": torch.tensor(
                [int(x.get("cls", NO_CLASS)) for x in samples], dtype=torch.int64
            ),
            "valid": torch.tensor(valid, dtype=torch.bool),
            "keys": [sample["__key__"] for sample in samples],
            "bad": [bad_line(x) for x in samples if "__error__" in x and "__lost__" not in x],
            "lost": [
                f"{shard(x)} can't be had: {x['__lost__']}" for x in samples if "__lost__" in x
            ],
        }
        if self.seed is None:
            batch["images"] = images if get_worker_info() is None else list(map(Inline, images))
            return batch
        # Decoders leave pixels, not planes: turning them would take half as long as to decode them.
        pixels_BHW3 = default_collate([image_3HW.permute(1, 2, 0) for image_3HW in images])
        batch["images"] = pixels_BHW3.permute(0, 3, 1, 2)
        epoch, positions = samples[0]["__seed__"][1], [x["__position__"] for x in samples]
        batch["draws"] = augmentation_draws(self.seed, epoch, positions, self.draws)
        return batch


def shard(sample: Sample) -> str:
    """Return the name of a sample's shard."""
    url: str = sample["__url__"]
    return name_of(url) if is_url(url) else Path(url).name


def bad_line(sample: Sample) -> str:
    """Return what is wrong with a sample, for a log."""
    return f"{shard(sample)}: {sample['__key__']}: {sample['__error__']}"


class Inline:
    """A tensor that goes to the main process within the message, and arrives as a tensor.

    DataLoader would open a file for each of a batch's images: too many for some systems.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self.tensor.numpy(),)


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
