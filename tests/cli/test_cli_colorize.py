"""`irodori colorize` as it is typed."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from colorizing import colorize, pixels, refused
from PIL import Image

import tiny
from irodori import Colorizer
from irodori.imageio import pil_to_pixels
from irodori.inference.settings import ColorizeSettings

SLOWLY = [sys.executable, str(Path(__file__).parents[1] / "colorize_slowly.py")]


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one.jpg", "two.png", "sub/three.png")):
        path = Path("scans", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        tiny.photo(number).convert("L").save(path)
    return Path("scans")


def slowly(seconds, *words, **more):
    command = [*SLOWLY, str(seconds), *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=120, **more)


def test_a_folder_becomes_a_folder_of_color_photos(scans, checkpoint):
    done = colorize(scans, "--output", "out", "--format", "png", checkpoint=checkpoint)
    assert (done.exit_code, done.stderr) == (0, "")
    targets = {"one.png": "one.jpg", "two.png": "two.png", "sub/three.png": "sub/three.png"}
    assert sorted(done.stdout.splitlines()) == sorted(f"out/{target}" for target in targets)
    colorizer = Colorizer.load(checkpoint)
    for target, photo in targets.items():
        expected = colorizer(Image.open(scans / photo))
        assert np.array_equal(pixels(f"out/{target}"), expected)


def test_options_reach_the_network(scans, checkpoint):
    words = (scans / "two.png", "--style", scans / "one.jpg", "--style-strength", "0.5")
    words = (*words, "--saturation", "1.5", "--work-size", "native", "--output", "x.png")
    done = colorize(*words, checkpoint=checkpoint)
    assert (done.exit_code, done.stdout) == (0, "x.png\n")
    settings = ColorizeSettings(work_size="native", saturation=1.5, style_strength=0.5)
    colorizer = Colorizer.load(checkpoint, settings)
    expected = colorizer(Image.open(scans / "two.png"), Image.open(scans / "one.jpg"))
    assert np.array_equal(pixels("x.png"), expected)
    assert not np.array_equal(
        pixels("x.png"), Colorizer.load(checkpoint)(Image.open(scans / "two.png"))
    )


def test_a_sequence_has_one_scene(scans, checkpoint):
    # Photos of unequal scenes, of which one is colorized later.
    words = (scans, "--sequence", "--format", "png")
    assert colorize(*words, "--output", "out", checkpoint=checkpoint).exit_code == 0
    colorizer = Colorizer.load(checkpoint)
    photos = [pil_to_pixels(Image.open(path)) for path in sorted(scans.glob("**/*.*"))]
    vector = colorizer.global_features(photos)
    expected = colorizer.color(pil_to_pixels(Image.open(scans / "two.png")), vector).pixels_HW3
    assert np.array_equal(pixels("out/two.png"), expected)
    Path("out/two.png").unlink()
    done = colorize(*words, "--output", "out", "--resume", checkpoint=checkpoint)
    assert (done.exit_code, done.stdout) == (0, "out/two.png\n")
    assert done.stderr == "2 of 3 photos done already\n"
    assert np.array_equal(pixels("out/two.png"), expected)


def test_a_sequence_of_pages(scans, checkpoint):
    first, second = (Image.open(scans / name).convert("L") for name in ("one.jpg", "two.png"))
    first.save("pages.tif", save_all=True, append_images=[second])
    words = ("pages.tif", "--output", "x.png", "--page", 2)
    assert colorize(*words, "--sequence", checkpoint=checkpoint).exit_code == 0
    of_pages = pixels("x.png")
    assert colorize(*words, "--overwrite", checkpoint=checkpoint).exit_code == 0
    assert np.array_equal(of_pages, pixels("x.png"))  # it is all of the sequence


def test_json(scans, checkpoint):
    (scans / "bad.jpg").write_bytes(b"no picture")
    done = colorize(scans, "--output", "out", "--json", checkpoint=checkpoint)
    assert done.exit_code == 1
    lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert set(lines.pop("scans/bad.jpg")) == {"file", "error"}
    assert set(lines) == {"scans/one.jpg", "scans/two.png", "scans/sub/three.png"}
    one = lines["scans/one.jpg"]
    assert (one["output"], one["width"], one["height"]) == ("out/one.jpg", 40, 32)
    assert one["work_size"] == [320, 256]
    assert one["notes"] == []
    assert one["seconds"] >= 0
    assert list(one["scenes"].values()) == sorted(one["scenes"].values(), reverse=True)
    assert set(one["scenes"]) == set(tiny.CLASSES)
    assert sum(one["scenes"].values()) == pytest.approx(1, abs=2e-4)


def test_a_bad_file_is_named_and_the_others_are_done(scans, checkpoint):
    (scans / "bad.jpg").write_bytes(b"no picture")
    (scans / "notes.txt").write_text("1920")
    done = colorize(scans, "none.jpg", "--output", "out", checkpoint=checkpoint)
    assert done.exit_code == 1
    first, *errors, last = done.stderr.splitlines()
    assert first.startswith("left out: scans/notes.txt: ")
    assert sorted(error.split(": ")[:2] for error in errors) == [
        ["error", "none.jpg"],
        ["error", "scans/bad.jpg"],
    ]
    assert last == "2 of 5 could not be colorized"
    assert len(done.stdout.splitlines()) == 3


def test_files_that_are_left_out_are_named_up_to_ten(scans, checkpoint):
    for number in range(12):
        (scans / f"{number:02}.nef").touch()
    lines = colorize(scans, "--output", "out", checkpoint=checkpoint).stderr.splitlines()
    assert len(lines) == 11
    assert all("develop it" in line for line in lines[:10])
    assert "2 more" in lines[10]
    more = ("--overwrite", "--verbose")
    done = colorize(scans, "--output", "out", *more, checkpoint=checkpoint)
    assert (done.exit_code, len(done.stderr.splitlines())) == (0, 12)


def test_a_run_folder_is_a_checkpoint(scans, checkpoint):
    words = (scans / "one.jpg", "--format", "png", "--no-provenance", "--output")
    assert colorize(*words, "a.png", checkpoint=checkpoint.parents[1]).exit_code == 0
    assert colorize(*words, "b.png", checkpoint=checkpoint).exit_code == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))


def test_results_name_the_model(scans, checkpoint):
    assert colorize(scans, "--output", "out", checkpoint=checkpoint).exit_code == 0
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest().encode()
    for path in ("out/one.jpg", "out/two.png"):
        content = Path(path).read_bytes()
        assert b"compositeWithTrainedAlgorithmicMedia" in content
        assert digest in content
    more = ("--no-provenance", "--overwrite")
    assert colorize(scans, "--output", "out", *more, checkpoint=checkpoint).exit_code == 0
    assert digest not in Path("out/one.jpg").read_bytes()


WITHOUT = """
import os, signal, sys
sys.modules["fcntl"] = None
if hasattr(os, "sched_getaffinity"):
    del os.sched_getaffinity
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP"):
    if hasattr(signal, name):
        delattr(signal, name)
_open = os.open
def open_no_folder(path, *rest, **named):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return _open(path, *rest, **named)
os.open = open_no_folder
"""


def test_it_needs_nothing_that_only_posix_has_and_nothing_of_training(scans, tmp_path):
    """As on Windows: no fcntl, no fsync of folders, no affinity, no SIGUSR1."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    code = (
        "import sys; from irodori.cli.app import app\n"
        f"try: app(['colorize', '{scans}', '--output', 'out'])\n"
        "except SystemExit as end: print(end.code)\n"
        "names = {'lightning', 'wandb', 'hydra', 'matplotlib', 'timm', 'kornia', 'torchvision',\n"
        "         'torch._dynamo'}\n"
        "print(sorted(names & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    *written, status, imported = done.stdout.splitlines()
    assert (len(written), status, imported, done.stderr) == (3, "0", "[]", "")


def test_what_does_not_fit_is_refused_before_any_work(scans, checkpoint):
    refused(colorize(scans, "--output", "out", "--checkpoint", "none.ckpt"), "none.ckpt")
    refused(colorize(scans, "--output", "out", "--checkpoint", scans / "one.jpg"), "one.jpg")
    style = ("--style", "s.jpg")
    refused(colorize(scans, "--output", "out", *style, checkpoint=checkpoint), "s.jpg")
    refused(colorize(scans, "--output", "out", "--saturation", "3"), "saturation is 3")
    refused(colorize(scans, "--output", "out", "--work-size", "big"), "--work-size is big")
    refused(colorize(scans / "one.jpg", "--output", "-", "--json"), "--json")
    refused(colorize("empty/*.jpg", "--output", "out"), "empty/*.jpg")
    assert not Path("out").exists()
    Path("out").mkdir()
    (Path("out") / "two.png").write_bytes(b"mine")
    refused(colorize(scans, "--output", "out"), "out/two.png", "--resume", "--overwrite")
    assert (Path("out") / "two.png").read_bytes() == b"mine"


def test_standard_input_to_standard_output(scans, checkpoint):
    content = (scans / "two.png").read_bytes()
    done = slowly(0, "-", "--output", "-", "--format", "webp", input=content)
    assert (done.returncode, done.stderr) == (0, b"")
    result = Image.open(io.BytesIO(done.stdout))
    assert (result.format, result.size) == ("WEBP", Image.open(scans / "two.png").size)
    done = colorize("-", "--output", "x.png", checkpoint=checkpoint, input=content)
    assert (done.exit_code, done.stdout) == (0, "x.png\n")
    assert np.array_equal(
        pixels("x.png"), Colorizer.load(checkpoint)(Image.open(scans / "two.png"))
    )
    bad = colorize("-", "--output", "-", checkpoint=checkpoint, input=b"no picture")
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert bad.stderr.startswith("error: standard input: ")


@pytest.mark.skipif(os.name == "nt", reason="there, names are Unicode")
def test_names_that_are_no_utf8(scans):
    path = os.fsencode(scans) + b"/caf\xe9.png"
    os.rename(scans / "two.png", path)  # noqa: PTH104  (bytes)
    done = slowly(0, scans, "--output", "out")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"out/caf\xe9.png" in done.stdout.splitlines()
    assert os.path.exists(b"out/caf\xe9.png")  # noqa: PTH110  (bytes)


@pytest.fixture
def many(scans):
    for number in range(20):
        tiny.photo(number).convert("L").save(scans / f"{number:02}.png")
    return 23


def whole(folder):
    """The results of a folder, each checked to be a whole picture."""
    paths = [path for path in folder.rglob("*.*") if not path.name.startswith(".")]
    for path in paths:
        Image.open(path).load()
    return paths


def interruptible():
    """Undo what a shell does to processes in the background: they don't hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_an_interrupted_command_leaves_whole_photos_and_resumes(scans, many, sent):
    command = [*SLOWLY, "0.1", str(scans), "--output", "out", "--jobs", "2"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    assert process.stdout.readline().startswith("out/")
    time.sleep(0.17)
    process.send_signal(sent)
    printed = process.communicate(timeout=60)[1]
    if sent == signal.SIGKILL:
        assert process.returncode == -9
    else:
        status, word = {2: (130, "interrupted"), 15: (143, "terminated")}[sent]
        assert process.returncode == status
        assert printed == f"{word}: give the same command with --resume to continue\n"
        assert not list(Path("out").rglob(".*.part"))
    done = len(whole(Path("out")))
    assert 1 <= done < many
    again = slowly(0, scans, "--output", "out", "--resume")
    assert again.returncode == 0
    assert again.stderr.decode() == f"{done} of {many} photos done already\n"
    assert len(whole(Path("out"))) == many
    assert not list(Path("out").rglob(".*.part"))


@pytest.mark.long
def test_an_interrupted_command_does_not_wait_for_a_long_photo(scans):
    command = [*SLOWLY, "60", str(scans), "--output", "out"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=15)[1]
    assert process.returncode == 130
    assert printed.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_terminal_shows_a_bar_with_rate_and_time(scans, many):
    (scans / "bad.png").write_bytes(b"no picture")
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    command = [*SLOWLY, "0.1", str(scans), "--output", "out", "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=child) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                block = os.read(parent, 4096)
            except OSError:  # the terminal's other side is closed
                break
            shown += block
        os.close(parent)
        results = process.stdout.read().decode().splitlines()
    assert process.returncode == 1
    assert len(results) == many
    text = shown.decode()
    assert f"/{many + 1}" in text
    assert "photos/s" in text
    assert "error: scans/bad.png: " in text
    assert "1 of 24 could not be colorized" in text
