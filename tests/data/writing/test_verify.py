"""Each kind of damage is found and named."""

import io
import json
import shutil
import tarfile

import pytest
from pictures import tree

from irodori.data.index import read_index
from irodori.data.writing.job import write_source
from irodori.data.writing.prepare import Options
from irodori.data.writing.verify import verify
from irodori.utils.errors import IrodoriError

NAME = "train-000001.tar"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    source = tree(folder / "photos", 24)
    options = Options(size=64, shard_samples=6)
    write_source(source, folder / "shards", options, jobs=1, report=lambda line: None)
    return folder / "shards"


@pytest.fixture
def shards(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "shards")


def problems(shards):
    return verify(shards, jobs=1).problems


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)


def shard_of(shards, name=NAME):
    return next(s for s in read_index(shards).shards if s.name == name)


def test_whole_ones(whole):
    verdict = verify(whole, jobs=2)
    assert (verdict.problems, verdict.shards, verdict.images) == ((), 5, 24)


def test_a_missing_and_an_extra_shard(shards):
    (shards / NAME).rename(shards / "train-000009.tar")
    assert problems(shards) == (f"{NAME}: missing", "train-000009.tar: not in the index")
    assert verify(shards, jobs=1).damaged == 2


def test_damaged_images_are_named(shards):
    shard = shard_of(shards)
    for number in (1, 4):
        flip(shards / NAME, int(shard.offsets[number]) + 7)
    (line,) = problems(shards)
    assert line == f"{NAME}: damaged images: {shard.keys[1]!r}, {shard.keys[4]!r}"


def test_a_truncated_shard(shards):
    shard = shard_of(shards)
    length = int(shard.offsets[-1]) + 3
    with (shards / NAME).open("r+b") as file:
        file.truncate(length)
    lines = problems(shards)
    assert lines[0] == f"{NAME}: {length} bytes, the index says {shard.num_bytes}"
    assert lines[1] == f"{NAME}: damaged images: {shard.keys[-1]!r}"
    assert "truncated" in lines[2]
    assert len(lines) == 3


def test_a_damaged_header(shards):
    flip(shards / NAME, int(shard_of(shards).offsets[2]) - 300)
    lines = problems(shards)
    assert all(line.startswith(f"{NAME}: ") for line in lines)
    assert "sha256" in lines[0]
    assert len(lines) == 2


def test_a_changed_class(shards):
    shard = shard_of(shards)
    content = (shards / NAME).read_bytes()
    # The class stands in the block before the image's header.
    place = int(shard.offsets[3]) - 1024
    assert content[place : place + 1] == str(shard.labels[3]).encode()
    (shards / NAME).write_bytes(content[:place] + b"7" + content[place + 1 :])
    lines = problems(shards)
    assert "sha256" in lines[0]
    assert lines[1].endswith(f"differ from the index: {shard.keys[3]!r}")


def test_another_tar_under_the_name(shards):
    with tarfile.open(shards / NAME, "w") as tar:
        info = tarfile.TarInfo("other.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    text = "\n".join(problems(shards))
    assert "bytes, the index says" in text
    assert "its keys" in text
    assert "'other'" in text


def test_a_changed_index(shards):
    path = shards / "index.json"
    index = json.loads(path.read_bytes())
    index["classes"] = index["classes"][:1]
    path.write_text(json.dumps(index))
    lines = problems(shards)
    assert len(lines) == 5
    assert all("a class id beyond 0 in the index" in line for line in lines)


def test_no_index(shards):
    (shards / "index.json").unlink()
    with pytest.raises(IrodoriError, match=r"index\.json"):
        verify(shards, 1)
    (shards / ".unfinished").mkdir()
    with pytest.raises(IrodoriError, match="unfinished"):
        verify(shards, 1)


def changed(**values):
    """A change of the first shard's row."""
    return lambda index: index["shards"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(keys=[1, 2, 3, 4, 5, 6]), "damaged"),
        *((changed(name=x), "damaged") for x in ("/etc/passwd", "../secret.tar", "a\0b.tar", 3)),
        (changed(sizes=[-1] * 6), "damaged"),
        (changed(labels=[1]), "damaged"),
        (lambda index: index["shards"].append(None), "damaged"),
        (lambda index: index.update(version="x"), "version"),
        *((text, "damaged") for text in ("[" * 100_000, "[]", "", "\0", '{"version": 2}')),
    ],
)
def test_any_index_is_one_line_and_leads_out_of_the_folder_nowhere(shards, change, message):
    path = shards / "index.json"
    if not isinstance(change, str):
        index = json.loads(path.read_bytes())
        change(index)
        change = json.dumps(index)
    path.write_text(change)
    with pytest.raises(IrodoriError, match=rf"index\.json.*{message}") as caught:
        verify(shards, 1)
    assert "\n" not in str(caught.value)


def test_an_index_without_checksums(shards):
    path = shards / "index.json"
    index = json.loads(path.read_bytes())
    for row in index["shards"]:
        row["crc32"] = None
    path.write_text(json.dumps(index))
    assert problems(shards) == ()
    flip(shards / NAME, int(shard_of(shards).offsets[1]) + 7)
    (line,) = problems(shards)
    assert "sha256" in line
