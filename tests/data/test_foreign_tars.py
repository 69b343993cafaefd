"""Tars that others made: dots in names, formats beside JPEG, compression."""

import gzip
import io

import numpy as np
import pytest
import torch
from PIL import Image, features
from plain_shards import write_tar

from irodori.color import Lab
from irodori.data.augment import Augmentation
from irodori.data.config import DataConfig
from irodori.data.module import ShardData
from irodori.data.opening import ShardOpener
from irodori.data.samples import Samples
from irodori.data.scan import scan
from irodori.utils.errors import IrodoriError


def picture(number):
    y, x = np.mgrid[0:40, 0:48]
    levels = np.stack([x * 4, y * 5, np.full_like(x, 20 * number)], axis=-1)
    return Image.fromarray(levels.astype(np.uint8))


def encoded(kind, number):
    out = io.BytesIO()
    picture(number).save(out, kind)
    return out.getvalue()


def check_pixels(path, folder):
    samples = Samples(ShardOpener(folder).open(str(path)))
    assert len(samples) == 12
    for number in range(12):
        expected = torch.from_numpy(np.array(picture(number))).permute(2, 0, 1)
        difference = samples.image(number).int() - expected.int()
        assert difference.abs().float().mean() < 3, number
    return samples


def test_dots_in_names(tmp_path):
    keys = [f"box12_{n:03d}.v2" if n % 2 else f"{n:04d}" for n in range(12)]
    members = [
        (f"{key}.{end}", data)
        for n, key in enumerate(keys)
        for end, data in (("jpg", encoded("JPEG", n)), ("cls", b"%d" % (n % 3)))
    ]
    samples = check_pixels(write_tar(tmp_path / "dotted.tar", members), tmp_path)
    assert samples.index.labels.tolist() == [n % 3 for n in range(12)]
    assert samples.index.shards[0].keys[1] == "box12_001"  # as webdataset names it
    assert not samples.index.shards[0].unread


@pytest.mark.parametrize(
    ("end", "kind"),
    [("tif", "TIFF"), ("bmp", "BMP"), ("avif", "AVIF"), ("jp2", "JPEG2000"), ("TIFF", "TIFF")],
)
def test_formats_beside_jpeg(tmp_path, end, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    members = [
        (f"{n:04d}.{end if n % 2 else 'jpg'}", encoded(kind if n % 2 else "JPEG", n))
        for n in range(12)
    ]
    samples = check_pixels(write_tar(tmp_path / "a.tar", members), tmp_path)
    assert (end.lower() in samples[1]) == (end != "TIFF")


def test_what_cannot_be_read_is_counted_and_named_before_training(tmp_path, capfd):
    members = [(f"{n:04d}.{'heic' if n % 2 else 'jpg'}", encoded("JPEG", n)) for n in range(12)]
    path = write_tar(tmp_path / "x.tar", members)
    config = DataConfig(
        train=str(path), val=str(path), val_seen=True, batch_size=2, workers=0, size=32,
        cache=str(tmp_path / "cache"),
    )  # fmt: skip
    for _ in range(2):  # the second time, the scan's result is found in the cache
        data = ShardData(config, Lab(), Augmentation(crop=28))
        assert len(data.train_index) == 6
        printed = capfd.readouterr().err
        for part in (str(path), "6 of 12 image files", ".heic (6)", "0001.heic"):
            assert part in printed


@pytest.mark.parametrize("end", ["CR3", "hif", "pgm", "raf"])
def test_other_kinds_of_images_are_counted(tmp_path, end):
    path = write_tar(tmp_path / "a.tar", [("a.jpg", encoded("JPEG", 0)), (f"b.{end}", b"x")])
    assert f"1 of 2 image files can't be read: .{end.lower()} (1)" in scan(path).unread


def test_several_images_behind_one_key_are_named(tmp_path):
    members = [(f"roll.{n:04d}.jpg", encoded("JPEG", n)) for n in range(3)]
    path = write_tar(tmp_path / "a.tar", [*members, ("other.jpg", encoded("JPEG", 3))])
    shard = scan(path)
    assert list(shard.keys) == ["other"]
    assert "3 of 4 image files" in shard.unread
    assert "roll.0000.jpg" in shard.unread


def test_a_shard_of_nothing_that_can_be_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a.heic", b"x"), ("a.cls", b"1"), ("b.heic", b"x")])
    with pytest.raises(IrodoriError, match=r"no images.*\.heic \(2\)"):
        scan(path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz"])
def test_a_compressed_tar_says_so(tmp_path, name):
    path = write_tar(tmp_path / "a.tar", [("a.jpg", encoded("JPEG", 1))])
    packed = tmp_path / name
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(IrodoriError, match=r"compressed.*gunzip") as caught:
        ShardOpener(tmp_path).open(str(packed))
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
