import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from irodori.color import Lab, Rgb, to_float
from irodori.data.augment import Augmentation
from irodori.data.class_names import common_classes
from irodori.data.config import DataConfig
from irodori.data.index import Index
from irodori.data.module import ShardData
from irodori.data.opening import refuse_small_cache
from irodori.data.plan import TrainingPlan
from irodori.data.writer import write_shards
from irodori.utils.errors import IrodoriError


def write(folder, labels, prefix="t", classes=("sea", "hill", "town")):
    """A shard for each list of labels, of random 24×20 pictures; returns their pattern."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    shards = []
    for number, shard in enumerate(labels):
        samples = []
        for place, label in enumerate(shard):
            path = folder / f"{number}-{place}.png"
            Image.fromarray(chance.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(path)
            samples.append((f"k{number}-{place}", path, label))
        shards.append(samples)
    write_shards(shards, folder, prefix, classes, {})
    return str(folder / f"{prefix}-*.tar")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    train = write(folder / "train", [[0, 1, 2, 0], [1, 2, 0, 1]])
    val = write(folder / "val", [[0, 1, 2]], "v")
    return DataConfig(train=train, val=val, batch_size=4, val_batch_size=2, workers=0, size=32)


def shard_data(config, space=None, crop=28, **arguments):
    return ShardData(config, space or Lab(), Augmentation(crop), **arguments)


def changed(config, **change):
    return dataclasses.replace(config, **change)


def refusal(config, **arguments):
    with pytest.raises(IrodoriError) as caught:
        shard_data(config, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def augmented(data, space, batch):
    """Luminance and chrominance, step by step."""
    rgb = data.augmentation.on_rgb(to_float(batch["images"]), batch["draws"])
    luminance, chroma = space.encode(rgb)
    return data.augmentation.on_luminance(luminance, batch["draws"]), chroma


@pytest.mark.parametrize("made_by", [Lab, Rgb])
@pytest.mark.parametrize("autocast", [False, True])
def test_batches_become_luminance_and_chroma_of_the_cropped_image(config, made_by, autocast):
    space = made_by()
    data = shard_data(config, space, seed=5)
    for raw in data.train_dataloader():
        expected = augmented(data, space, raw)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            batch = data.on_after_batch_transfer(dict(raw), 0)
        assert set(batch) == {"luminance", "chroma", "labels", "valid", "keys", "bad", "lost"}
        channels = space.chroma_channels
        assert batch["luminance"].shape == (4, 1, 28, 28)
        assert batch["chroma"].shape == (4, channels, 28, 28)
        for made, right in zip((batch["luminance"], batch["chroma"]), expected, strict=True):
            assert made.dtype == torch.float32
            assert -1e-5 <= made.min() <= made.max() <= 1 + 1e-5
            torch.testing.assert_close(made, right, rtol=0, atol=1e-3)


def test_validation_batches_stay_as_they_are(config):
    data = shard_data(config)
    batches = list(data.val_dataloader())
    assert [len(batch["keys"]) for batch in batches] == [2, 1]
    for batch in batches:
        images = list(batch["images"])
        after = data.on_after_batch_transfer(batch, 0)
        assert all(image.shape == (3, 24, 20) for image in after["images"])
        assert all(torch.equal(*pair) for pair in zip(after["images"], images, strict=True))
        assert "luminance" not in after


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_converted_on_their_own_device(config):
    data = shard_data(config, seed=5)
    raw = next(iter(data.train_dataloader()))
    right = data.on_after_batch_transfer(dict(raw), 0)
    moved = {key: raw[key].cuda() for key in ("images", "draws")}
    batch = data.on_after_batch_transfer(moved, 0)
    for key in ("luminance", "chroma"):
        assert batch[key].is_cuda
        torch.testing.assert_close(batch[key].cpu(), right[key], rtol=0, atol=1e-3)


def test_shuffling_by_shards_is_a_walk_through_them(config):
    data = shard_data(changed(config, shuffle="shards"), seed=5)
    sizes = tuple(map(len, data.train_index.shards))
    assert data.plan(2, 1) == TrainingPlan(
        sum(sizes), config.batch_size, world_size=2, rank=1, seed=5, shard_sizes=sizes
    )
    assert shard_data(config).plan(1, 0).shard_sizes is None


def test_a_cache_that_would_be_filled_anew_all_the_time_is_refused(config):
    index = shard_data(config).train_index
    remote = [
        dataclasses.replace(s, path=f"http://x/{s.path.name}", num_bytes=10**9)
        for s in index.shards
    ]
    away = Index(tuple(remote), index.classes)
    with pytest.raises(IrodoriError, match=r"data\.cache_gb=1 .*set data\.shuffle=shards"):
        refuse_small_cache(changed(config, cache_gb=1.0), away, 1)
    # The batch of four walks through both shards, but only through one on each of four machines.
    walk = changed(config, cache_gb=1.0, shuffle="shards")
    with pytest.raises(IrodoriError, match=r"less than the 2 GB of shards that a batch of 4 reads"):
        refuse_small_cache(walk, away, 1)
    refuse_small_cache(walk, away, 4)
    for fits in ({"cache_gb": 9.0}, {}, {"cache_gb": 9.0, "shuffle": "shards"}):
        refuse_small_cache(changed(config, **fits), away, 1)
    refuse_small_cache(changed(config, cache_gb=1e-9), index, 1)


def test_micro_batches_and_ranks_share_the_batch(config):
    data = shard_data(config, accumulate=2)
    assert [len(batch["keys"]) for batch in data.train_dataloader()] == [2, 2, 2, 2]
    assert data.plan(2, 1).micro_batch == 1
    with pytest.raises(IrodoriError, match="3 rank"):
        data.plan(3, 0)
    assert [reading.samples.tolist() for reading in data.val_plan(2, 1).readings()] == [[1, 2]]


def test_a_fold_is_left_out_of_training(config):
    data = shard_data(changed(config, fold=1, val=config.train))
    assert (len(data.train_index), len(data.val_index)) == (4, 4)
    assert data.train_index.shards[0].keys[0] == "k0-0"
    assert data.val_index.shards[0].keys[0] == "k1-0"
    assert data.classes == ("sea", "hill", "town")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": "/no/such/t-*.tar"}, "no shard matches '/no/such/t-*.tar'"),
        ({"val": "/no/such/v.tar"}, "no shard matches '/no/such/v.tar'"),
        ({"fold": 1}, "data.val names others"),
        ({"batch_size": 9}, "data.batch_size=9 exceeds the 8 training samples"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(config, change, message):
    assert message in refusal(changed(config, **change))


def test_a_crop_larger_than_the_images_is_refused(config):
    assert "augmentation.crop=33 exceeds data.size=32" in refusal(config, crop=33)


@pytest.mark.parametrize(("limit", "length"), [(1.0, 4), (3, 3), (9, 4), (0.5, 2), (0.99, 3)])
def test_a_run_is_resumed_in_epochs_as_long_as_the_trainer_has_them(config, limit, length):
    def batches(start):
        data = shard_data(changed(config, batch_size=2))
        data.trainer = SimpleNamespace(world_size=1, global_rank=0, limit_train_batches=limit)
        data.start = start
        return [batch["keys"] for batch in data.train_dataloader()]

    whole = batches(length)  # the second epoch
    assert whole != batches(0)
    assert batches(length + 1) == whole[1:]


def test_one_shard_leaves_nothing_to_train_on(tmp_path):
    pattern = write(tmp_path / "a", [[0, 1]])
    message = refusal(DataConfig(train=pattern, val=pattern, fold=0, batch_size=1))
    assert "exceeds the 0 training samples" in message


def test_a_missing_class_is_refused_only_where_classes_count(tmp_path, config):
    pattern = write(tmp_path / "a", [[0, 1, 2, 0], [0, -1, 1, 2]])
    for change in ({"train": pattern}, {"val": pattern}):
        message = refusal(changed(config, **change), needs_labels=True)
        assert "t-1.tar: k1-1 has no class" in message
        assert "alpha=0" in message
        data = shard_data(changed(config, **change))
        assert len(data.classes) == 3


def test_a_class_list_names_the_classes(tmp_path, config):
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\n")
    data = shard_data(changed(config, classes=str(names)))
    assert data.classes == data.val_index.classes == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("train", "val", "together"),
    [
        ("a b c", "a b", "a b c"),
        ("a", "a b", "a b"),
        ("0 1", "0 1 2", "0 1 2"),
        ("a b c", "0 1", "a b c"),
        ("0 1", "a b c", "a b c"),
        ("0 1", "a b", "a b"),
        ("a b", "0 1", "a b"),
        ("a b", "", "a b"),
        ("a b", "b a", None),
        ("a b", "a c d", None),
        ("a b", "0 1 2", None),
    ],
)
def test_classes_of_training_and_validation_are_those_of_one_list(train, val, together):
    train, val = tuple(train.split()), tuple(val.split())
    if together is None:
        with pytest.raises(IrodoriError, match="different classes"):
            common_classes(train, val)
    else:
        assert common_classes(train, val) == tuple(together.split())


@pytest.mark.parametrize(
    ("given", "cores", "world_size", "nodes", "expected"),
    [
        (None, 2, 1, 1, 2),
        (None, 16, 1, 1, 4),
        (None, 8, 4, 1, 2),
        (None, 8, 8, 2, 2),
        (None, 1, 2, 1, 1),
        (7, 2, 1, 1, 7),
        (0, 8, 1, 1, 0),
    ],
)
def test_loader_processes_are_what_a_ranks_share_of_the_cores_allows(
    config, monkeypatch, given, cores, world_size, nodes, expected
):
    monkeypatch.setattr("irodori.data.module.available_cores", lambda: cores)
    data = shard_data(changed(config, workers=given))
    data.trainer = SimpleNamespace(world_size=world_size, global_rank=0, num_nodes=nodes)
    assert data.workers == expected
