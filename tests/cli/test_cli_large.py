"""`irodori colorize` of photos too large for memory, with a limit of ten thousand pixels."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from colorizing import colorize

import tiny
from irodori.imageio import headers, tiff
from irodori.imageio.rows import Rows

STORED = {273, 278, 279, *range(322, 326)}  # tags of where strips and tiles lie
OPTIONS = ("--saturation", "1.5", "--label", "--style", "color.png")


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gray = np.asarray(tiny.photo(1).convert("L").resize((203, 300)))
    clear = np.dstack([gray, gray, gray, 255 - gray])
    deep = np.dstack([gray.astype(np.uint16) * 257] * 3)
    save = {"metadata": None, "resolution": (300, 300), "resolutionunit": "INCH"}
    Path("scans").mkdir()
    tifffile.imwrite("scans/gray.tif", gray, description="a caption", rowsperstrip=16, **save)
    tifffile.imwrite("scans/clear.tif", clear, photometric="rgb", extrasamples=[2], **save)
    tifffile.imwrite("scans/deep.tif", deep, photometric="rgb", byteorder=">", **save)
    tiny.photo(3).save("color.png")
    return Path("scans")


def page_of(path):
    with tifffile.TiffFile(path) as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags if tag.code not in STORED}
        return file.is_bigtiff, tags, file.pages[0].asarray().astype(int)


@pytest.mark.parametrize("big", [False, True])
def test_the_result_is_that_of_a_photo_in_memory(scans, big, monkeypatch):
    assert colorize(scans, "--output", "whole", *OPTIONS).exit_code == 0
    monkeypatch.setattr(headers, "MAX_PIXELS", 10_000)
    if big:
        monkeypatch.setattr(tiff, "_MAX_CLASSIC", 1000)
    asked = []
    part = Rows.__getitem__
    monkeypatch.setattr(Rows, "__getitem__", lambda *key: asked.append(key) or part(*key))
    done = colorize(scans, "--output", "large", *OPTIONS)
    assert (done.exit_code, bool(asked)) == (0, True), done.output
    for name in ("gray.tif", "clear.tif", "deep.tif"):
        _, tags, pixels = page_of(Path("whole", name))
        is_big, large_tags, large_pixels = page_of(Path("large", name))
        assert np.abs(pixels - large_pixels).max() <= 1
        assert (is_big, large_tags) == (big, tags)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--format", "png"), "written as TIFF only"),
        (("--work-size", "native"), "another --work-size"),
    ],
)
def test_what_takes_a_whole_photo_is_refused(scans, options, reason, monkeypatch):
    monkeypatch.setattr(headers, "MAX_PIXELS", 10_000)
    done = colorize(scans / "gray.tif", "--output", "out", *options)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 2)
    assert reason in done.stderr
    assert not Path("out/gray.png").exists()
