"""`irodori colorize --hints` as it is typed, on files."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from colorizing import colorize, pixels, refused
from PIL import Image
from skimage.color import rgb2lab

from irodori import Colorizer, Hint
from irodori.color import Lab
from irodori.inference.hints import hints_to_json
from irodori.model import Model
from networks import joint, save_checkpoint

BRICK = "#8b5a4a"


def model(**arguments):
    torch.manual_seed(0)
    return Model(joint(**arguments), Lab(), ("sea", "hill", "town"), 0.25, (3.0, 9.0))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(model(hints=True), tmp_path_factory.mktemp("model") / "hinted.ckpt")


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Three photos, of which two have a hint file beside them."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one.png", "two.png", "sub/three.jpg")):
        path = Path("scans", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(number).integers(80, 170, (4, 5), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 64), Image.Resampling.BICUBIC).save(path)
    Path("scans/one.hints.json").write_text(hints_to_json([Hint(20, 30, BRICK)]))
    shares = [Hint(0.25, 0.5, BRICK, relative=True), Hint(0.75, 0.5, "#5a7a6a", relative=True)]
    Path("scans/sub/three.jpg.hints.json").write_text(hints_to_json(shares))
    return Path("scans")


def missed(path, x, y, color):
    """How far the color at a place is from another, in ab units."""
    found, wanted = (
        rgb2lab(np.asarray(rgb, float) / 255)[1:]
        for rgb in (pixels(path)[y, x], list(bytes.fromhex(color[1:])))
    )
    return np.hypot(*(found - wanted))


def test_the_hints_of_one_photo(scans, checkpoint):
    words = (scans / "two.png", "--output", "x.png")
    file = scans / "one.hints.json"
    done = colorize(*words, "--hints", file, "--json", checkpoint=checkpoint)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["hints"] == 1
    assert missed("x.png", 20, 30, BRICK) < 3
    called = Colorizer.load(checkpoint)(Image.open(words[0]), hints=[Hint(20, 30, BRICK)])
    assert np.array_equal(pixels("x.png"), called)
    assert b"hints=1" in Path("x.png").read_bytes()
    done = colorize(*words, "--overwrite", "--json", checkpoint=checkpoint)
    assert json.loads(done.stdout)["hints"] == 0
    assert b"hints=" not in Path("x.png").read_bytes()
    assert missed("x.png", 20, 30, BRICK) > 5


def test_standard_input_with_hints(scans, checkpoint):
    content = (scans / "one.png").read_bytes()
    words = ("-", "--output", "-", "--hints", scans / "one.hints.json")
    done = colorize(*words, checkpoint=checkpoint, input=content)
    assert done.exit_code == 0
    assert missed(io.BytesIO(done.stdout_bytes), 20, 30, BRICK) < 3
    refused(colorize(*words[:4], "auto", checkpoint=checkpoint, input=content), "standard input")


def test_the_hint_files_of_a_folder(scans, checkpoint):
    words = (scans, "--output", "out", "--hints", "auto", "--json")
    done = colorize(*words, checkpoint=checkpoint)
    assert (done.exit_code, done.stderr) == (0, "hints for 2 of 3 photos\n")
    lines = {line["file"]: line["hints"] for line in map(json.loads, done.stdout.splitlines())}
    assert lines == {"scans/one.png": 1, "scans/two.png": 0, "scans/sub/three.jpg": 2}
    assert missed("out/one.png", 20, 30, BRICK) < 3
    for x, color in ((20, BRICK), (60, "#5a7a6a")):
        assert missed("out/sub/three.jpg", x, 32, color) < 5  # JPEG's own error


def test_a_damaged_hint_file_is_named_and_its_photo_is_not_colorized(scans, checkpoint):
    Path("scans/two.hints.json").write_text('{"version": 1}')
    Path("scans/one.hints.json").write_text(hints_to_json([Hint(81, 30, BRICK)]))
    done = colorize(scans, "--output", "out", "--hints", "auto", checkpoint=checkpoint)
    assert done.exit_code == 1
    first, *errors, last = done.stderr.splitlines()
    assert first == "hints for 3 of 3 photos"
    assert len(errors) == 2
    one, two = sorted(errors)
    assert one.startswith("error: scans/one.png: ")
    assert "80×64" in one
    assert two.startswith("error: scans/two.png: scans/two.hints.json: ")
    assert last == "2 of 3 could not be colorized"
    assert done.stdout == "out/sub/three.jpg\n"
    Path("scans/two.hints.json").unlink()
    Path("scans/one.hints.json").unlink()
    done = colorize(scans, "--output", "out", "--hints", "auto", "--resume", checkpoint=checkpoint)
    assert done.exit_code == 0
    assert done.stderr == "1 of 3 photos done already\nhints for 0 of 2 photos\n"


def test_hint_files_that_are_not_used_are_named(scans, checkpoint):
    Path("scans/four.hints.json").write_text(hints_to_json([]))
    done = colorize(scans, "--output", "out", "--hints", "auto", checkpoint=checkpoint)
    left, _ = done.stderr.splitlines()
    assert left.startswith("left out: scans/four.hints.json: ")
    done = colorize(scans, "--output", "out", "--overwrite", checkpoint=checkpoint)
    assert len(done.stderr.splitlines()) == 3
    assert all("--hints auto" in line for line in done.stderr.splitlines())
    assert done.exit_code == 0


def test_what_does_not_fit_is_refused_before_any_work(scans, checkpoint, tmp_path):
    hints = ("--hints", scans / "one.hints.json")
    refused(colorize(scans, "--output", "out", *hints, checkpoint=checkpoint), "auto")
    one = (scans / "one.png", "--output", "x.png", "--hints")
    refused(colorize(*one, "none.json", checkpoint=checkpoint), "none.json", "No such file")
    refused(colorize(*one, scans / "two.png", checkpoint=checkpoint), "two.png", "not JSON")
    without = save_checkpoint(model(), tmp_path / "plain.ckpt")
    refused(colorize(*one, hints[1], checkpoint=without), "support hints")
    assert not Path("out").exists()
    assert not Path("x.png").exists()
