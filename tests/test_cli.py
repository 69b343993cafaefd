import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import irodori
import tiny
from irodori import Colorizer
from irodori.cli import app

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train = tiny.shards(folder / "train", 8)
    val = tiny.shards(folder / "val", 3, first=50)
    tiny.run(folder / "run", *tiny.on(train, val), "trainer.max_steps=1")
    return folder / "run" / "checkpoints" / "best.ckpt"


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / "one.jpg", tmp_path / "two.png"]
    for number, path in enumerate(paths):
        tiny.photo(number).save(path)
    return paths


def colorize(photos, output, checkpoint, *more):
    return RUNNER.invoke(
        app,
        [
            "colorize",
            *map(str, photos),
            "--output",
            str(output),
            "--checkpoint",
            str(checkpoint),
            *more,
        ],
    )


def test_the_command_is_there_and_tells_its_version_and_help():
    command = Path(sys.executable).with_name("irodori")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"irodori {irodori.__version__}\n")
    shown = RUNNER.invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "colorize" in shown.stdout
    assert RUNNER.invoke(app, ["colourize"]).exit_code != 0


def test_photos_are_coloured_at_their_own_size(photos, tmp_path, checkpoint):
    done = colorize(photos, tmp_path / "out", checkpoint)
    assert (done.exit_code, done.stderr) == (0, "")
    targets = [tmp_path / "out" / "one.png", tmp_path / "out" / "two.png"]
    assert done.stdout.splitlines() == [str(target) for target in targets]
    colorizer = Colorizer.load(checkpoint)
    for photo, target in zip(photos, targets, strict=True):
        assert np.array_equal(Image.open(target), colorizer(Image.open(photo)))
    assert Image.open(targets[1]).size == Image.open(photos[1]).size


def test_a_style_image_decides_the_colours(photos, tmp_path, checkpoint):
    done = colorize(photos[:1], tmp_path / "out", checkpoint, "--style", str(photos[1]))
    assert done.exit_code == 0
    expected = Colorizer.load(checkpoint)(Image.open(photos[0]), style=Image.open(photos[1]))
    assert np.array_equal(Image.open(tmp_path / "out" / "one.png"), expected)


def test_a_bad_file_is_named_and_the_others_are_done(photos, tmp_path, checkpoint):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    missing = tmp_path / "missing.jpg"
    done = colorize([photos[0], bad, missing, photos[1]], tmp_path / "out", checkpoint)
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") for line in lines)
    assert str(bad) in lines[0]
    assert str(missing) in lines[1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "two.png"]


def refused(done, *parts):
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(str(part) in line for part in parts)


def test_an_existing_result_is_never_overwritten(photos, tmp_path, checkpoint):
    out = tmp_path / "out"
    out.mkdir()
    (out / "two.png").write_bytes(b"mine")
    refused(colorize(photos, out, checkpoint), out / "two.png", "exists")
    assert [path.name for path in out.iterdir()] == ["two.png"]
    assert (out / "two.png").read_bytes() == b"mine"


def test_two_photos_of_one_name_are_refused(photos, tmp_path, checkpoint):
    other = tmp_path / "other" / "one.png"
    other.parent.mkdir()
    tiny.photo(5).save(other)
    refused(colorize([photos[0], other], tmp_path / "out", checkpoint), photos[0], other)
    assert not (tmp_path / "out").exists()


def test_what_is_no_checkpoint_and_no_style_is_refused(photos, tmp_path, checkpoint):
    refused(colorize(photos, tmp_path / "out", tmp_path / "none.ckpt"), "none.ckpt")
    refused(colorize(photos, tmp_path / "out", photos[0]), photos[0], "not a checkpoint")
    done = colorize(photos, tmp_path / "out", checkpoint, "--style", str(tmp_path / "s.jpg"))
    refused(done, "s.jpg")
    assert not (tmp_path / "out").exists()
