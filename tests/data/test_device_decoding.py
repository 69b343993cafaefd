"""`data.decode=device`: the same batches as from loader processes that decode themselves."""

import io
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from irodori.color import Lab
from irodori.config import DataConfig
from irodori.data import device_decoding
from irodori.data.device_decoding import decode_on_device, left_to_device
from irodori.data.images import to_square
from irodori.data.module import ShardData
from irodori.data.opening import open_index
from irodori.data.plan import Reading, TrainingPlan
from irodori.data.stream import ReadingSampler, ShardDataset
from irodori.data.writer import write_shards

SIZE = 32


def content_of(seed, size=SIZE, kind="JPEG", **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((size, size)).save(buffer, kind, **options)
    return buffer.getvalue()


def turned(seed):
    exif = Image.Exif()
    exif[0x0112] = 6
    return content_of(seed, exif=exif)


GOOD = {
    "plain": content_of(0),
    "progressive": content_of(1, progressive=True, subsampling=0),
    "larger": content_of(2, size=48),
    "png": content_of(3, kind="PNG"),
    "turned": turned(4),
    "last": content_of(5),
}
# A frame header that says 12 bits is no common one; a scan whose Huffman table is undefined is
# only found by decoding.
DAMAGED = content_of(6)
SCAN = DAMAGED.index(b"\xff\xda")
DAMAGED = DAMAGED[: SCAN + 6] + b"\x33" + DAMAGED[SCAN + 7 :]


def index_of(folder, contents):
    samples = []
    for name, content in contents.items():
        suffix = "png" if content.startswith(b"\x89PNG") else "jpg"
        path = folder / f"{name}.{suffix}"
        path.write_bytes(content)
        samples.append((name, path, 0))
    write_shards([samples], folder / "shards", "s", ["a"], {})
    return open_index(str(folder / "shards" / "s-*.tar"), None, folder)


def batches(index, workers, on_device):
    data = ShardDataset(index, partial(to_square, size=SIZE), 3, on_device=on_device)
    plan = TrainingPlan(len(index), 2, seed=1)
    data.share_memory(workers, 2, SIZE)
    loader = DataLoader(
        data, sampler=ReadingSampler(plan), batch_size=None, num_workers=workers, pin_memory=False
    )
    for batch in loader:
        if on_device:
            decode_on_device(batch)
        yield {**batch, "images": batch["images"].clone()}


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_those_of_the_loader_processes(tmp_path, workers):
    index = index_of(tmp_path, GOOD)
    pairs = list(zip(batches(index, workers, False), batches(index, workers, True), strict=True))
    assert len(pairs) == 3
    for expected, found in pairs:
        assert expected.keys() == found.keys()
        assert found["keys"] == expected["keys"]
        for name in ("images", "valid", "labels", "draws"):
            assert torch.equal(found[name], expected[name]), name


@pytest.mark.parametrize("name", GOOD)
def test_only_common_files_are_left_to_the_device(name):
    common = {"plain", "progressive", "last"}
    assert left_to_device(GOOD[name], (SIZE, SIZE)) == (name in common)


def test_components_that_may_be_rgb_are_not():
    content = GOOD["plain"]
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    assert not left_to_device(content[:2] + adobe + content[2:], (SIZE, SIZE))


def one_batch(index, *samples):
    data = ShardDataset(index, partial(to_square, size=SIZE), 3, on_device=True)
    # The first picture that a process sees says how large they are.
    data.shape = torch.Size([3, SIZE, SIZE])
    return data[Reading(0, np.arange(len(samples)), np.array(samples))]


def test_nothing_is_decoded_before(tmp_path, monkeypatch):
    index = index_of(tmp_path, {"one": GOOD["plain"], "other": GOOD["last"]})
    batch = one_batch(index, 1, 0)
    assert [(one.place, one.content) for one in batch["encoded"]] == [
        (0, GOOD["last"]),
        (1, GOOD["plain"]),
    ]
    calls = []
    decode_jpeg = device_decoding.decode_jpeg
    monkeypatch.setattr(
        device_decoding,
        "decode_jpeg",
        lambda files, *rest, **more: calls.append(len(files)) or decode_jpeg(files, *rest, **more),
    )
    decode_on_device(batch)
    # All in one call: nvJPEG decodes them side by side.
    assert calls == [2]


def test_a_damaged_file_is_named_and_a_neighbour_stands_in(tmp_path):
    index = index_of(tmp_path, {"bad": DAMAGED, "good": GOOD["plain"], "fine": GOOD["last"]})
    assert left_to_device(DAMAGED, (SIZE, SIZE))
    batch = one_batch(index, 0, 1, 2)
    decode_on_device(batch)
    assert batch["valid"].tolist() == [False, True, True]
    (line,) = batch["bad"]
    assert line == "s-0.tar: bad: Huffman table 0x03 was not defined"
    assert torch.equal(batch["images"][0], batch["images"][1])
    expected = next(iter(batches(index_of_good(tmp_path), 0, False)))["images"]
    assert {bytes(image.numpy()) for image in batch["images"][1:]} == {
        bytes(image.numpy()) for image in expected
    }


def index_of_good(folder):
    (folder / "again").mkdir()
    return index_of(folder / "again", {"good": GOOD["plain"], "fine": GOOD["last"]})


def test_a_batch_of_damaged_files_is_black(tmp_path):
    batch = one_batch(index_of(tmp_path, {"bad": DAMAGED, "worse": DAMAGED}), 0, 1)
    decode_on_device(batch)
    assert not batch["valid"].any()
    assert len(batch["bad"]) == 2
    assert not batch["images"].any()


def test_training_batches_are_the_same(tmp_path):
    index_of(tmp_path, {**GOOD, "more": content_of(7)})
    pattern = str(tmp_path / "shards" / "s-*.tar")
    batches = []
    for decode in ("workers", "device"):
        config = DataConfig(
            train=pattern,
            val=pattern,
            val_seen=True,
            decode=decode,
            batch_size=3,
            workers=0,
            size=SIZE,
            crop=28,
        )
        data = ShardData(config, Lab(), seed=5)
        batches.append(
            [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]
        )
    for expected, found in zip(*batches, strict=True):
        assert set(found) == set(expected)
        assert torch.equal(found["luminance"], expected["luminance"])
        assert torch.equal(found["chroma"], expected["chroma"])
