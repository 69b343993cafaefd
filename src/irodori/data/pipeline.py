"""The webdataset pipeline: a plan's batches in, batches of decoded and scaled images out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import webdataset as wds
from torch import Tensor
from webdataset.autodecode import Decoder

from irodori.data.config import Sample
from irodori.data.images import decode
from irodori.data.plan import Reading, TrainingPlan, ValidationPlan
from irodori.data.samples import Samples
from irodori.data.suffixes import IMAGE_SUFFIXES
from irodori.utils.errors import one_line

Stage = Callable[[Sample], Sample]
Collate = Callable[[list[Sample]], dict[str, Any]]


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
        """Return the batches of the epoch, from where it begins."""
        epoch, start = self._position.tolist()
        return self.plan.readings(epoch, start)


def pipeline(
    batches: PlannedBatches,
    samples: Samples,
    resize: Callable[[Tensor], Tensor],
    batch_size: int,
    collate: Collate,
    stages: Sequence[Stage] = (),
    seed: int = 0,
) -> wds.DataPipeline:
    """Return the pipeline of one rank; iterated in a loader process, it yields that one's share.

    Args:
        batches: what is read, in order.
        samples: where it is read from.
        resize: brings a 3×H×W uint8 image to the size for the network.
        batch_size: images per batch.
        collate: makes a batch of samples.
        stages: the user's, sample → sample.
        seed: of what is drawn for a sample.
    """
    return wds.DataPipeline(
        batches,
        wds.split_by_worker,  # batches go to the workers in turn
        partial(samples.planned, seed=seed),
        wds.map(KeepPlace(decoded)),
        *(wds.map(KeepPlace(stage)) for stage in stages),
        wds.map(KeepPlace(partial(resized, resize=resize))),
        wds.batched(batch_size, collation_fn=collate),
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
        """Return what the stage makes of the sample, or the sample with its `__error__`."""
        if "__error__" in sample:
            return sample
        try:
            return {**sample, **self.stage(sample)}
        except Exception as error:
            cause = error.__cause__  # webdataset's decoder wraps what went wrong
            reason = one_line(cause if isinstance(cause, Exception) else error)
            return {**sample, "__error__": reason}
