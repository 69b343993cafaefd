import multiprocessing
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.utilities import combined_loader
from plain_shards import (
    DRAWS,
    SIZE,
    check_whole,
    color_of,
    numbers,
    training_loader,
    validation_batch,
    validation_loader,
    write,
)

from irodori.data import samples as samples_module
from irodori.data.pipeline import CatchErrors, augmentation_draws
from irodori.data.plan import TrainingPlan, ValidationPlan
from irodori.data.prior import training_mean_ab
from irodori.data.remote.files import RefusedError
from irodori.data.samples import Samples
from irodori.utils.errors import IrodoriError


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_that_are_held_are_not_overwritten(index, workers):
    """An epoch has more of them than the workers' memory."""
    plan = TrainingPlan(len(index), 2, seed=3)
    load = training_loader(index, plan, workers)
    assert len(load) == plan.steps == 11
    held = []
    for epoch in (0, 1):
        load.sampler.set_epoch(epoch)
        held.append(list(load))
    for epoch, batches in enumerate(held):
        expected = [reading.samples.tolist() for reading in plan.readings(epoch)]
        assert [numbers(batch) for batch in batches] == expected
        for batch, reading in zip(batches, plan.readings(epoch), strict=True):
            assert batch["images"].shape == (2, 3, SIZE, SIZE)
            check_whole(batch)
            draws = augmentation_draws(3, epoch, reading.positions.tolist(), DRAWS)
            assert np.array_equal(batch["draws"], draws)


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_images_keep_their_size(index, workers):
    for batch in validation_loader(index, ValidationPlan(len(index), 4), workers):
        check_whole(batch)
        for number, image in zip(numbers(batch), batch["images"], strict=True):
            assert image.shape == (3, 10 + number % 3, 9 + number % 5)


def test_an_empty_validation_batch(index):
    batch = validation_batch(index)
    assert (batch["images"], batch["keys"], batch["bad"]) == ([], [], [])
    assert batch["valid"].shape == batch["labels"].shape == (0,)
    assert batch["valid"].dtype == torch.bool
    assert batch["labels"].dtype == torch.int64


def test_draws_belong_to_seed_epoch_and_position():
    def draws(seed, epoch, *positions):
        return augmentation_draws(seed, epoch, positions, DRAWS)

    one = draws(0, 0, 5)[0]
    assert one.dtype == np.float32
    assert np.array_equal(draws(0, 0, 9, 5, 2)[1], one)
    others = [draws(1, 0, 5)[0], draws(0, 1, 5)[0], draws(0, 0, 6)[0], draws(0, 5, 0)[0]]
    for number, draw in enumerate(others):
        assert all((draw != other).all() for other in [one, *others[:number]])
    assert np.array_equal(augmentation_draws(0, 0, [5], 2)[0], one[:2])


def test_draws_are_uniform_and_uncorrelated():
    draws = np.concatenate([augmentation_draws(7, epoch, range(2000), DRAWS) for epoch in range(3)])
    assert 0 <= draws.min() < 0.001 < 0.999 < draws.max() < 1
    for column in draws.T:
        counts, _ = np.histogram(column, bins=10, range=(0, 1))
        assert 480 < counts.min() <= counts.max() < 720  # 600 expected, ±5 deviations
    neighbors = np.concatenate([draws[:-1], draws[1:]], axis=1)
    correlation = np.corrcoef(neighbors.T) - np.eye(2 * DRAWS)
    assert np.abs(correlation).max() < 0.07


def test_more_shards_than_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(samples_module, "OPEN_FILES", 3)
    index = write(tmp_path, [1] * 8)
    samples = Samples(index)
    opened = Path("/proc/self/fd")  # where there is one
    before = len(list(opened.iterdir())) if opened.exists() else 0
    for number in (*range(8), *range(8), 7, 0, 6, 0, 5):
        assert samples.image(number)[:, 0, 0].tolist() == list(color_of(number))
    assert len(samples._files) == 3
    if before:
        assert len(list(opened.iterdir())) <= before + 3


def test_a_webdataset_user_alters_the_pipeline_in_a_line(index):
    load = training_loader(index, TrainingPlan(len(index), 5, seed=3), workers=1)
    darker = webdataset.map(lambda sample: {**sample, "image": sample["image"] // 2})
    load.pipeline[0].dataset.pipeline.insert(-1, darker)
    for batch in load:
        for number, image in zip(numbers(batch), batch["images"], strict=True):
            assert image[:, 0, 0].tolist() == [level // 2 for level in color_of(number)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_epoch_is_resumed_at_any_batch(index, workers):
    """And the next epoch begins at its start, in loader processes that live on."""
    plan = TrainingPlan(len(index), 3, seed=3)
    whole = training_loader(index, plan)
    epochs = []
    for epoch in (1, 2):
        whole.sampler.set_epoch(epoch)
        epochs.append(list(whole))
    assert [numbers(batch) for batch in epochs[0]] != [numbers(batch) for batch in epochs[1]]
    for start in (1, 4, 6):
        load = training_loader(index, plan, workers, epoch=1, start=start)
        load.sampler.set_epoch(1)  # as Lightning does
        rest = list(load)
        load.sampler.set_epoch(2)
        for batches, expected in ((rest, epochs[0][start:]), (list(load), epochs[1])):
            assert len(batches) == len(expected)
            for batch, right in zip(batches, expected, strict=True):
                assert batch["keys"] == right["keys"]
                assert torch.equal(batch["images"], right["images"])
                assert torch.equal(batch["draws"], right["draws"])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_is_left_early_is_followed_by_a_whole_one(index, workers):
    plan = TrainingPlan(len(index), 3, seed=3)
    load = training_loader(index, plan, workers)
    next(iter(load))
    load.sampler.set_epoch(1)
    assert [numbers(batch) for batch in load] == [
        reading.samples.tolist() for reading in plan.readings(1)
    ]


@settings(max_examples=20)
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_every_sample_exactly_once_whatever_ranks_and_workers(index, data, world, workers, train):
    """The workers of all ranks, one after the other in this process."""
    size = data.draw(st.integers(1, 7)) * (world if train else 1)
    seen, steps = [], set()
    for rank in range(world):
        plan = (
            TrainingPlan(len(index), size, world_size=world, rank=rank, seed=1)
            if train
            else ValidationPlan(len(index), size, world, rank)
        )
        load = (training_loader if train else validation_loader)(index, plan)
        stages = load.pipeline[0].dataset.pipeline
        shares = []
        for worker in range(workers):
            stages[1] = partial(every, worker=worker, workers=workers)
            shares.append(list(load))
        batches = [batch for turn in zip_longest(*shares) for batch in turn if batch is not None]
        assert [numbers(batch) for batch in batches] == [
            reading.samples.tolist() for reading in plan.readings(0)
        ]
        steps.add(len(batches))
        for batch in batches:
            check_whole(batch)
            seen += numbers(batch)
    assert len(steps) == 1
    assert len(set(seen)) == len(seen) == (len(index) // size * size if train else len(index))


def every(readings, worker, workers):
    return islice(readings, worker, None, workers)


def test_the_loaders_processes_can_be_ended_as_lightning_does(index):
    before = set(multiprocessing.active_children())
    load = training_loader(index, TrainingPlan(len(index), 5, seed=3), workers=2)
    for _ in range(2):
        next(iter(load))
        assert len(set(multiprocessing.active_children()) - before) == 2
        combined_loader._shutdown_workers_and_reset_iterator(load)
        assert set(multiprocessing.active_children()) == before


def test_the_loaders_length_is_that_of_a_whole_epoch(index):
    assert len(training_loader(index, TrainingPlan(23, 6, accumulate=3), start=4)) == 9
    assert len(validation_loader(index, ValidationPlan(23, 6, world_size=2))) == 2


def test_a_lack_of_memory_is_no_damaged_image():
    def full(sample):
        raise MemoryError

    with pytest.raises(MemoryError):
        CatchErrors(full)({"jpg": b""})


def test_an_unreachable_shard_does_not_change_the_mean_color():
    def image(sample):
        if sample:
            raise RefusedError("https://x.org/a.tar: no answer in time")
        return torch.zeros(3, 4, 4, dtype=torch.uint8)

    data = SimpleNamespace(index=range(3), image=image)
    with pytest.raises(IrodoriError, match=r"^https://x.org/a.tar: no answer in time: repeat"):
        training_mean_ab(data)
