"""Samples that a stage changes or fails for, and damaged ones."""

import os

import numpy as np
import pytest
import torch
from plain_shards import (
    DRAWS,
    SIZE,
    color_of,
    numbers,
    training_batch,
    training_loader,
    validation_batch,
    write,
)

from irodori.data.plan import TrainingPlan


def test_a_damaged_image_keeps_its_place_and_a_neighbor_stands_in(tmp_path):
    index = write(tmp_path, [3, 4], bad={0, 4})
    batch = training_batch(index, 2, 4, 5, 0)
    assert batch["keys"] == ["k2", "k4", "k5", "k0"]
    assert batch["labels"].tolist() == [2, 1, 2, 0]
    assert batch["valid"].tolist() == [True, False, True, False]
    assert [line.split(": ")[:2] for line in batch["bad"]] == [["s-1.tar", "k4"], ["s-0.tar", "k0"]]
    for line in batch["bad"]:
        assert len(line.split(": ")[2]) > 5
        assert "\n" not in line
    assert [tuple(image[:, 0, 0].tolist()) for image in batch["images"]] == [
        color_of(number) for number in (2, 2, 5, 2)
    ]
    assert torch.equal(batch["images"][1], batch["images"][0])
    first = training_batch(index, 0, 6)
    assert first["valid"].tolist() == [False, True]
    assert torch.equal(first["images"][0], first["images"][1])
    photos = validation_batch(index, 4, 3)
    assert photos["valid"].tolist() == [False, True]
    assert len(photos["images"]) == 2


def test_a_batch_of_nothing_but_damaged_images(tmp_path):
    index = write(tmp_path, [4], bad={0, 1})
    batch = training_batch(index, 0, 1)
    assert batch["images"].shape == (2, 3, SIZE, SIZE)
    assert batch["valid"].tolist() == [False, False]
    assert len(batch["bad"]) == 2
    assert batch["draws"].shape == (2, DRAWS)
    assert validation_batch(index, 0, 1)["valid"].tolist() == [False, False]


@pytest.mark.parametrize("change", ["cut", "gone"])
def test_a_shard_that_changed_after_it_was_indexed(tmp_path, change):
    index = write(tmp_path, [3, 3])
    path = index.shards[1].path
    if change == "gone":
        path.unlink()
    else:
        os.truncate(path, int(index.shards[1].offsets[1]) + 20)
    batch = validation_batch(index, 0, 3, 4, 5)
    whole = [True, change == "cut", False, False]
    assert batch["valid"].tolist() == whole
    assert [line.split(": ")[:2] for line in batch["bad"]] == [
        ["s-1.tar", f"k{number}"]
        for number, good in zip((0, 3, 4, 5), whole, strict=True)
        if not good
    ]
    assert all(len(line.split(": ")[2]) > 5 for line in batch["bad"])
    if change == "cut":
        assert all("the shard ends" in line for line in batch["bad"])


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path):
    index = write(tmp_path, [3])
    shard = index.shards[0]
    with shard.path.open("r+b") as file:
        # The last byte before the image's end: a decoder would not look at it.
        file.seek(int(shard.offsets[1] + shard.sizes[1]) - 1)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([last ^ 1]))
    batch = validation_batch(index, 0, 1, 2)
    assert batch["valid"].tolist() == [True, False, True]
    assert batch["bad"] == ["s-0.tar: k1: its bytes don't match the index's checksum"]


# --- the user's stages


def mirrored(sample):
    return {**sample, "image": sample["image"].flip(2), "cls": sample["cls"] + 10}


def noisy(sample):
    noise = np.random.default_rng(sample["__seed__"]).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    return {"image": torch.from_numpy(noise)}


def picky(sample):
    if sample["__key__"] == "k2":
        raise KeyError("depth")
    return sample


def test_a_stage_changes_samples(index):
    batch = training_batch(index, 4, 5, stages=(mirrored,))
    assert batch["labels"].tolist() == [11, 12]
    assert numbers(batch) == [4, 5]


def test_what_a_stage_draws_is_the_samples_own(index):
    plan = TrainingPlan(len(index), 4, seed=3)
    alone, shared = (
        {
            key: image
            for batch in load
            for key, image in zip(batch["keys"], batch["images"], strict=True)
        }
        for load in (training_loader(index, plan, w, 1, stages=(noisy,)) for w in (0, 2))
    )
    assert all(torch.equal(alone[key], shared[key]) for key in alone)
    assert not torch.equal(*list(alone.values())[:2])


def test_a_sample_that_a_stage_fails_for_keeps_its_place(index):
    batch = training_batch(index, 1, 2, 3, stages=(picky,))
    assert batch["valid"].tolist() == [True, False, True]
    assert batch["bad"] == ["s-0.tar: k2: 'depth'"]
    assert torch.equal(batch["images"][1], batch["images"][0])


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 8, 8), torch.zeros(8, 8, dtype=torch.uint8), None]
)
def test_a_stage_that_leaves_no_image_is_named(index, image):
    batch = training_batch(index, 1, stages=(lambda sample: {"image": image},))
    assert batch["valid"].tolist() == [False]
    assert "data.stages" in batch["bad"][0]
