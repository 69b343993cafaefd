"""`irodori sheet` as it is typed."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tiny
from irodori import Colorizer
from irodori.cli.app import app
from irodori.inference.contact_sheet import GAP, contact_sheet
from irodori.inference.settings import ColorizeSettings
from irodori.inference.style_sheet import CELL

RUNNER = CliRunner()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, numbers in (("photos", (0, 1)), ("styles", (2, 3, 4))):
        Path(folder).mkdir()
        for number in numbers:
            tiny.photo(number).save(f"{folder}/{number}.png")


def sheet(*words):
    return RUNNER.invoke(app, ["sheet", *map(str, words)])


def cell(picture, row, column):
    left, top = column * (CELL[0] + GAP), row * (CELL[1] + GAP)
    return np.asarray(picture.crop((left, top, left + CELL[0], top + CELL[1])))


def test_photos_against_styles(folders, checkpoint):
    words = ("photos", "--styles", "styles", "--output", "x.png", "--checkpoint", checkpoint)
    done = sheet(*words, "--style-strength", "0.75")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "x.png\n", "")
    picture = Image.open("x.png")
    assert picture.size == (4 * (CELL[0] + GAP) - GAP, 3 * (CELL[1] + GAP) - GAP)
    assert (cell(picture, 0, 0) == 255).all()
    colorizer = Colorizer.load(checkpoint, ColorizeSettings(style_strength=0.75))
    photos = [Image.open(f"photos/{number}.png") for number in (0, 1)]
    styles = [Image.open(f"styles/{number}.png") for number in (2, 3, 4)]
    for row, photo in enumerate(photos, 1):
        # L*a*b*'s white and sRGB's differ in rounding.
        assert np.ptp(cell(picture, row, 0), axis=2).max() <= 1
        for column, style in enumerate(styles, 1):
            alone = contact_sheet([[colorizer(photo, style)]], box=CELL)
            assert np.array_equal(cell(picture, row, column), cell(alone, 0, 0))
    alone = contact_sheet([[styles[1]]], box=CELL)
    assert np.array_equal(cell(picture, 0, 2), cell(alone, 0, 0))


def test_bad_photos_are_left_out(folders, checkpoint):
    Path("photos/bad.jpg").write_bytes(b"no picture")
    done = sheet("photos", "--styles", "styles", "--output", "x.png", "--checkpoint", checkpoint)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: photos/bad.jpg: ")
    assert done.stderr.count("\n") == 1
    assert Image.open("x.png").height == 3 * (CELL[1] + GAP) - GAP


def test_a_folder_that_cannot_be_searched_is_named(folders, checkpoint, monkeypatch):
    Path("photos/locked").mkdir()
    scandir = os.scandir

    def denied(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)  # root may read everything
    done = sheet("photos", "--styles", "styles", "--output", "x.png", "--checkpoint", checkpoint)
    assert (done.exit_code, done.stderr) == (1, "error: photos/locked: Permission denied\n")
    assert Image.open("x.png").height == 3 * (CELL[1] + GAP) - GAP


@pytest.mark.parametrize("output", ["photos/0.png", "styles/../styles/2.png"])
def test_a_sheet_replaces_no_input(folders, output):
    before = Path(output).read_bytes()
    done = sheet("photos", "--styles", "styles", "--output", output, "--overwrite")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {output} is an input and would be replaced")
    assert Path(output).read_bytes() == before


def test_a_thin_photo_is_a_line(folders, checkpoint):
    Image.new("L", (5000, 1), 128).save("photos/thin.png")
    done = sheet("photos", "--styles", "styles", "--output", "x.png", "--checkpoint", checkpoint)
    assert done.exit_code == 0
    middle = cell(Image.open("x.png"), 3, 1)[CELL[1] // 2 - 2 : CELL[1] // 2 + 2]
    assert (middle != 255).any()


def test_a_sheet_that_its_format_cannot_hold_is_refused_before_the_work(folders):
    for number in range(90):
        Path(f"photos/more{number}.png").hardlink_to("photos/0.png")
    done = sheet(
        "photos", "--styles", "styles", "--output", "x.webp", "--checkpoint", "photos/0.png"
    )
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: x.webp: WEBP holds at most 16383 pixels a side")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["none", "--styles", "styles", "--output", "x.png"], "none: no such folder"),
        (["photos", "--styles", "none", "--output", "x.png"], "none: no such folder"),
        (["photos", "--styles", "styles", "--output", "x.gif"], "x.gif: give a name"),
        (["photos", "--styles", "styles", "--output", "there.png"], "already exists"),
        (["photos", "--styles", "empty", "--output", "x.png"], "no photo there"),
        (
            ["photos", "--styles", "styles", "--output", "x.png", "--saturation", "9"],
            "saturation is 9",
        ),
        (
            ["photos", "--styles", "styles", "--output", "x.png", "--checkpoint", "c"],
            "c: no such",
        ),
    ],
)
def test_mistakes_are_one_line(folders, words, part):
    Path("there.png").touch()
    Path("empty").mkdir()
    done = sheet(*words)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert part in line
    assert not Path("x.png").exists()
