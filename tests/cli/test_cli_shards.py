"""`irodori shards` as it is typed."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tiny
from irodori.cli.app import app
from irodori.data.images import decode
from irodori.data.opening import open_index

COMMAND = Path(sys.executable).with_name("irodori")


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
    command = [COMMAND, "shards", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def output(photos, tmp_path_factory):
    output = tmp_path_factory.mktemp("output") / "shards"
    done = shards("write", photos, output, "--jobs", "1", "--shard-samples", "5")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "layout folders: 13 images, 3 classes"
    assert re.fullmatch(
        r"12 of 13 images written \(10 train, 2 val\) in 3 shards, 0\.\d MB, [\d,]+ images/s",
        lines[1],
    )
    assert lines[2:] == [
        "near-gray: 0 left out",
        "rejected: 1 (empty file 1)",
        f"each with its reason: {output / 'rejected.csv'}",
        f"next: python train.py data=shards 'data.train=\"{output}/train-*.tar\"' "
        f"'data.val=\"{output}/val-*.tar\"'",
    ]
    return output


def test_what_is_written_can_be_trained_on(output):
    index = open_index(f"{output}/train-*.tar", None, output)
    assert (len(index), index.classes) == (10, tiny.CLASSES)
    for shard in index.shards:
        content = Path(shard.path).read_bytes()
        for offset, size in zip(shard.offsets, shard.sizes, strict=True):
            assert decode(content[offset : offset + size]).shape[0] == 3


def test_a_second_call_says_that_all_is_there(photos, output):
    done = shards("write", photos, output, "--shard-samples", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{output} is finished already: check it" in done.stdout
    done = shards("write", photos, output, "--shard-samples", "6")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "options shard_samples 5, now 6" in line


def test_verify(output, tmp_path):
    done = shards("verify", output, "--jobs", "1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 shards, 12 images: whole\n", "")
    for path in output.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "val-000000.tar").unlink()
    done = shards("verify", tmp_path, "--jobs", "1")
    assert (done.returncode, done.stdout) == (1, "val-000000.tar: missing\n")
    assert done.stderr.startswith("error: 1 shard ")


def test_mistakes_are_one_line(tmp_path):
    for arguments in (
        ("write", tmp_path / "none", tmp_path / "out"),
        ("write", tmp_path, tmp_path / "out"),
        ("write", tmp_path, tmp_path / "out", "--layout", "other"),
        ("write", tmp_path, tmp_path / "out", "--jobs", "0"),
        ("verify", tmp_path / "none"),
    ):
        done = shards(*arguments)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_a_bar_with_rate_and_time(photos, tmp_path):
    parent, child = pty.openpty()
    command = [COMMAND, "shards", "write", photos, tmp_path / "out", "--jobs", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    shown = b""
    while True:
        try:
            block = os.read(parent, 4096)
        except OSError:  # the terminal's other side is closed
            break
        shown += block
    os.close(parent)
    assert process.wait() == 0
    text = shown.decode()
    assert "13/13" in text or "0/13" in text
    assert "images/s" in text


def test_a_prior_of_the_colours(output, tmp_path):
    words = ["shards", "prior", f"{output}/*.tar", str(tmp_path / "prior.json")]
    told = CliRunner().invoke(app, words)
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout == f"{tmp_path}/prior.json: the colours of 12 photographs\n"
    assert '"photographs": 12' in (tmp_path / "prior.json").read_text()
    other = str(tmp_path / "other.json")
    told = CliRunner().invoke(app, ["shards", "prior", f"{tmp_path}/none-*.tar", other])
    assert told.exit_code == 1
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert not Path(other).exists()
