"""Tars of given files; shards of plain pictures whose colors name them, and their batches."""

import io
import tarfile
from functools import partial

import numpy as np
from PIL import Image

from irodori.data.batch_memory import BatchMemory
from irodori.data.images import to_short_side
from irodori.data.loader import web_loader
from irodori.data.opening import ShardOpener
from irodori.data.pipeline import (
    PlannedBatches,
    training_pipeline,
    validation_pipeline,
)
from irodori.data.plan import Reading, TrainingPlan, ValidationPlan
from irodori.data.samples import Samples
from irodori.data.writer import write_shards

SIZE = 8
DRAWS = 6


def write_tar(path, files, **options):
    """A tar of files given as name and bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def color_of(number):
    """A color that names a sample."""
    return ((number * 37) % 256, (number * 91) % 256, (number * 153) % 256)


def write(folder, counts, bad=()):
    """Shards of plain PNGs, each of a color and size of its own; those in `bad` are damaged."""
    photos = folder / "photos"
    photos.mkdir()
    number, shards = 0, []
    for count in counts:
        samples = []
        for _ in range(count):
            path = photos / f"{number}.{'jpg' if number in bad else 'png'}"
            if number in bad:
                buffer = io.BytesIO()
                Image.new("RGB", (64, 64), color_of(number)).save(buffer, "JPEG")
                path.write_bytes(buffer.getvalue()[:-200])
            else:
                Image.new("RGB", (9 + number % 5, 10 + number % 3), color_of(number)).save(path)
            samples.append((f"k{number}", path, number % 3))
            number += 1
        shards.append(samples)
    write_shards(shards, folder / "shards", "s", ["a", "b", "c"], {})
    return ShardOpener(folder).open(str(folder / "shards" / "s-*.tar"))


def training_loader(index, plan, workers=0, epoch=0, start=0, stages=()):
    memory = BatchMemory(workers, plan.micro_batch, SIZE)
    batches = PlannedBatches(plan, epoch, start)
    data = training_pipeline(batches, Samples(index), DRAWS, memory, stages)
    return web_loader(data, workers, memory)


def validation_loader(index, plan, workers=0):
    resize = partial(to_short_side, size=256)
    return web_loader(validation_pipeline(PlannedBatches(plan), Samples(index), resize), workers)


def given_samples(kind, *samples):
    """A plan of one batch with these samples."""

    class Given(kind):
        batches = 1

        def readings(self, epoch, start=0):
            yield Reading(epoch, np.arange(len(samples)), np.array(samples, np.int64))

    return Given(max(1, len(samples)), max(1, len(samples)))


def training_batch(index, *samples, stages=()):
    (batch,) = training_loader(index, given_samples(TrainingPlan, *samples), stages=stages)
    return batch


def validation_batch(index, *samples):
    (batch,) = validation_loader(index, given_samples(ValidationPlan, *samples))
    return batch


def numbers(batch):
    return [int(key[1:]) for key in batch["keys"]]


def check_whole(batch):
    """Every image and label is that of its key."""
    assert batch["bad"] == []
    assert batch["valid"].tolist() == [True] * len(batch["keys"])
    for number, label, image in zip(numbers(batch), batch["labels"], batch["images"], strict=True):
        assert label == number % 3
        assert image[:, 0, 0].tolist() == list(color_of(number))
