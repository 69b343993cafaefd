import json
import tarfile

import pytest
import webdataset
from PIL import Image

from irodori.data.index import checksums
from irodori.data.opening import ShardOpener
from irodori.data.scan import scan
from irodori.data.writer import shard_writer, write_shards
from irodori.utils.errors import IrodoriError


@pytest.fixture
def photos(tmp_path):
    paths = []
    for i, suffix in enumerate(["jpg", "png", "webp", "JPG"]):
        path = tmp_path / f"photo {i}.{suffix}"
        Image.new("RGB", (8 + i, 8), (40 * i, 90, 10)).save(path)
        paths.append(path)
    return paths


def write_shard(path, samples):
    with shard_writer(path) as writer:
        for key, image, label in samples:
            writer.add(key, image.suffix[1:].lower(), image.read_bytes(), label)
        return writer.close()


def test_images_are_copied_byte_for_byte_and_classes_read_back(tmp_path, photos):
    labels = [2, 0, -1, 11]
    samples = [(f"k{i}", path, labels[i]) for i, path in enumerate(photos)]
    shard = write_shard(tmp_path / "out" / "a.tar", samples)
    read = list(webdataset.WebDataset(str(shard.path), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == ["k0", "k1", "k2", "k3"]
    for sample, path, label in zip(read, photos, labels, strict=True):
        assert sample[path.suffix[1:].lower()] == path.read_bytes()
        assert sample.get("cls") == (None if label == -1 else str(label).encode())
    assert shard.labels.tolist() == labels
    content = shard.path.read_bytes()
    for path, offset, size in zip(photos, shard.offsets, shard.sizes, strict=True):
        assert content[offset : offset + size] == path.read_bytes()


def test_numbers_have_equal_width_and_the_index_is_written(tmp_path, photos):
    shards = [[(f"k{i}", photos[0], 0)] for i in range(11)]
    write_shards(shards, tmp_path / "out", "t", ["only"], {"seed": 3})
    assert (tmp_path / "out" / "t-03.tar").is_file()
    opened = ShardOpener(tmp_path).open(str(tmp_path / "out" / "t-*.tar"))
    assert opened.classes == ("only",)
    assert opened.made_by == {"seed": 3}
    assert [s.sha256 for s in opened.shards] == [checksums(s)[0] for s in opened.shards]
    assert json.loads((tmp_path / "out" / "index.json").read_text())["version"] == 2


def test_places_and_checksums_are_those_of_the_file(tmp_path, photos):
    shard = write_shard(tmp_path / "a.tar", [(f"k/{i}", p, i) for i, p in enumerate(photos)])
    assert scan(shard.path).offsets.tolist() == shard.offsets.tolist()
    sha256, crc32 = checksums(shard)
    assert (sha256, crc32.tolist()) == (shard.sha256, shard.crc32.tolist())
    assert shard.num_bytes == shard.path.stat().st_size
    with tarfile.open(shard.path) as tar:
        for member in tar:
            assert (member.mtime, member.mode, member.uname, member.gname) == (0, 0o444, "", "")


def test_keys_may_be_long_and_not_ascii(tmp_path, photos):
    key = "海辺 " * 60
    shard = write_shard(tmp_path / "a.tar", [(key, photos[0], 1)])
    assert list(scan(shard.path).keys) == [key]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([("a", 0, 0), ("a", 1, 0)], "key 'a' twice"),
        ([("a.b", 0, 0)], "must not be empty or contain a dot"),
        ([("", 0, 0)], "must not be empty or contain a dot"),
        ([("__a__/b", 0, 0)], "begin with __"),
        ([], "no samples"),
    ],
)
def test_a_failed_shard_leaves_nothing_behind(tmp_path, photos, samples, message):
    resolved = [(key, photos[number], label) for key, number, label in samples]
    with pytest.raises(IrodoriError, match=message) as caught:
        write_shard(tmp_path / "out" / "a.tar", resolved)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))
    assert not list(tmp_path.glob("out/.*"))


def test_a_failed_rewrite_keeps_the_old_shard(tmp_path, photos):
    shard = write_shard(tmp_path / "a.tar", [("a", photos[0], 0)])
    with pytest.raises(FileNotFoundError):
        write_shard(tmp_path / "a.tar", [("b", photos[1], 0), ("a", tmp_path / "gone.jpg", 0)])
    assert list(scan(shard.path).keys) == ["a"]
