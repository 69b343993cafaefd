"""`irodori shards` as it is typed."""

import json
import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from typer.testing import CliRunner

import tiny
from irodori.cli.app import app
from irodori.config import PROJECT
from irodori.data.images import decode
from irodori.data.opening import ShardOpener


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for number in range(12):
        path = root / tiny.CLASSES[number % 3] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        tiny.photo(number).save(path)
    (root / "beach" / "bad.png").write_bytes(b"")
    return root


def shards(*arguments):
    return CliRunner().invoke(app, ["shards", *map(str, arguments)])


@pytest.fixture(scope="module")
def output(photos, tmp_path_factory):
    output = tmp_path_factory.mktemp("output") / "my shards"
    done = shards("write", photos, output, "--jobs", "1", "--shard-samples", "5")
    assert done.exit_code == 0, done.output
    assert "reading" in done.stderr
    counts = re.search(r"^13 files: train 10, val 2, empty file 1; 3 shards", done.stdout, re.M)
    assert counts, done.stdout
    return output


def next_overrides(done):
    """What the line that begins with `next:` gives to `irodori train`."""
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("next: "))
    words = shlex.split(line.removeprefix("next: "))
    assert words[:2] == ["irodori", "train"]
    return words[2:]


def composed(overrides):
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return compose("train", overrides)


def test_what_is_written_can_be_trained_on(output):
    index = ShardOpener(output).open(f"{output}/train-*.tar")
    assert (len(index), index.classes) == (10, tiny.CLASSES)
    for shard in index.shards:
        content = Path(shard.path).read_bytes()
        for offset, size in zip(shard.offsets, shard.sizes, strict=True):
            assert decode(content[offset : offset + size]).shape[0] == 3


def test_the_next_command_fits_what_was_written(photos, output, tmp_path):
    done = shards("write", photos, output, "--shard-samples", "5")
    assert "already complete" in done.stdout
    config = composed(next_overrides(done))
    data = instantiate(config.data)
    assert len(ShardOpener(tmp_path).open(data.train)) == 10
    assert len(ShardOpener(tmp_path).open(data.val)) == 2
    assert data.batch_size == 2
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sorted((photos / tiny.CLASSES[1]).glob("*.png")):
        (flat / path.name).write_bytes(path.read_bytes())
    strange = tmp_path / 'a "b" [1]{2,3}* ${c}'
    done = shards("write", flat, strange, "--val-share", "0", "--jobs", "1")
    config = composed(next_overrides(done))
    assert config.alpha == 0
    assert config.data.val_seen
    assert len(ShardOpener(tmp_path).open(config.data.val)) == len(list(flat.iterdir()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_command_comes_next_where_there_is_enough_to_train_on(count, photos, tmp_path):
    source = tmp_path / "source" / "cat"
    source.mkdir(parents=True)
    for path in sorted(photos.glob("*/?.png"))[:count]:
        (source / path.name).write_bytes(path.read_bytes())
    done = shards("write", source.parent, tmp_path / "out", "--jobs", "1")
    assert done.exit_code == 0
    if count < 3:  # one, and where there are two, one of them validates
        assert "next: " not in done.stdout
    else:
        assert composed(next_overrides(done)).data.batch_size == 2


def test_verify(output, tmp_path):
    done = shards("verify", output, "--jobs", "1")
    assert (done.exit_code, done.stdout) == (0, "3 shards, 12 images: intact\n")
    for path in output.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "val-000000.tar").unlink()
    done = shards("verify", tmp_path, "--jobs", "1")
    assert (done.exit_code, done.stdout) == (1, "val-000000.tar: missing\n")
    assert "error: 1 shard " in done.stderr


def test_mistakes_are_one_line(output, photos, tmp_path):
    for arguments in (
        ("write", tmp_path / "none", tmp_path / "out"),
        ("write", tmp_path, tmp_path / "out"),
        ("write", tmp_path, tmp_path / "out", "--layout", "other"),
        ("write", photos, tmp_path / "out", "--jobs", "0"),
        ("write", photos, output, "--shard-samples", "6"),
        ("verify", tmp_path / "none"),
    ):
        done = shards(*arguments)
        assert done.exit_code == 1
        first, error = done.stderr.splitlines()
        assert first.startswith("reading ")
        assert error.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_prior_of_the_colors(output, tmp_path):
    done = shards("prior", f"{output}/*.tar", tmp_path / "prior.json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads((tmp_path / "prior.json").read_text())["photographs"] == 12
    done = shards("prior", f"{tmp_path}/none-*.tar", tmp_path / "other.json")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "other.json").exists()
