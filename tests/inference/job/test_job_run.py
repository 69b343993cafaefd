"""Photos coloured by several threads, with a stand-in for the network."""

import errno
import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from irodori.inference.colorizer import Colored
from irodori.inference.job import run as job
from irodori.inference.job import work
from irodori.inference.job.leftovers import remove_leftovers
from irodori.inference.job.options import Options
from irodori.inference.job.plan import make_plan
from irodori.utils.errors import IrodoriError


class Painter:
    """Turns photos red; remembers how many did so at a time. `act` may refuse."""

    def __init__(self, act=None):
        self.act = act or (lambda pixels: None)
        self.lock = threading.Lock()
        self.active = self.most = 0
        self.shares = []

    def __call__(self, pixels_HWC, sharing=1):
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
            self.shares.append(sharing)
        try:
            self.act(pixels_HWC)
            time.sleep(0.01)
        finally:
            with self.lock:
                self.active -= 1
        red = np.zeros((*pixels_HWC.shape[:2], 3), pixels_HWC.dtype)
        red[..., 0] = pixels_HWC.mean(2)
        return Colored(red, {"sea": 0.75, "hill": 0.25}, (16, 20))


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    for number in range(6):
        tiny.photo(number).save(f"scans/{number}.png")
    return Path("scans")


def color(arguments=("scans",), painter=None, say=None, output="out", **options):
    options = Options(**options)
    options.check()
    plan = make_plan(arguments, output, options)
    painter = painter or Painter()
    said = [] if say is None else say
    return list(job.color_photos(plan, options, said.append, lambda *_: painter))


def test_photos_are_read_coloured_and_written(scans):
    painter = Painter()
    outcomes = color(painter=painter, jobs=3)
    assert 1 <= painter.most <= 3
    assert sorted(str(one.task.target) for one in outcomes) == [f"out/{n}.png" for n in range(6)]
    for one in outcomes:
        assert one.error is None
        with Image.open(one.task.target) as result, Image.open(one.task.source) as photo:
            assert one.size == result.size == photo.size
            assert not np.asarray(result)[..., 1:].any()
        assert (one.work_size, one.scenes) == ((20, 16), {"sea": 0.75, "hill": 0.25})
        assert one.seconds >= 0.01
        assert min(one.clock.read, one.clock.color, one.clock.write) > 0


def test_one_photo_is_done_with_all_cores(scans):
    painter = Painter()
    color(["scans/0.png"], painter, jobs=8)
    assert painter.shares == [1]


def test_a_bad_photo_is_told_and_the_rest_go_on(scans):
    Path("scans/bad.jpg").write_bytes(b"no picture")
    Path("scans/empty.png").touch()
    outcomes = color(["scans", "scans/none.jpg"])
    errors = {one.task.source.name: one.error for one in outcomes if one.error is not None}
    assert set(errors) == {"bad.jpg", "empty.png", "none.jpg"}
    assert errors["none.jpg"] == "No such file or directory"
    assert "scans" not in "".join(errors.values())
    assert len(list(Path("out").iterdir())) == 6


def test_a_photo_that_the_network_fails_on_is_told(scans):
    def refuse(pixels):
        raise ZeroDivisionError("by\nzero")

    (outcome,) = color(["scans/0.png"], Painter(refuse))
    assert outcome.error == "ZeroDivisionError: by zero"
    assert not Path("out").exists()


def test_without_memory_half_as_many_are_done_and_none_is_lost(scans):
    painter = Painter()

    def refuse(pixels):
        if painter.active > 1:
            raise MemoryError

    painter.act = refuse
    said = []
    outcomes = color(painter=painter, say=said, jobs=4)
    assert [one.error for one in outcomes] == [None] * 6
    assert said
    assert "not enough memory; tried again alone, others" in said[0]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"),
    ],
)
def test_a_photo_too_large_even_alone_is_an_error(scans, error):
    def refuse(pixels):
        if pixels.shape[:2] == (39, 33)[:2] or pixels.shape[:2] == (33, 39):
            raise error

    said = []
    outcomes = color(painter=Painter(refuse), say=said, jobs=2)
    failed = [one for one in outcomes if one.error is not None]
    assert {one.task.source.name for one in failed} == {"2.png", "5.png"}
    assert all(one.error.startswith("not enough memory, even alone") for one in failed)
    assert len(list(Path("out").iterdir())) == 4


def test_few_pixels_are_in_flight(scans, monkeypatch):
    painter = Painter()
    monkeypatch.setattr(job, "pixel_budget", lambda jobs: 40 * 32)
    assert len(color(painter=painter, jobs=4)) == 6
    assert painter.most == 1
    monkeypatch.setattr(job, "pixel_budget", lambda jobs: 10 * 40 * 32)
    color(painter=painter, jobs=4, overwrite=True)
    assert painter.most > 1


def test_the_budget_is_for_usual_photos_and_bounded_by_memory(monkeypatch):
    assert 0 < job.pixel_budget(2) <= 64_000_000
    assert job.pixel_budget(1_000_000) < 10**12


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_an_output_that_cannot_be_written_ends_the_work(scans, monkeypatch, number):
    asked = []

    def refuse(target, *_):
        asked.append(target)
        try:
            raise OSError(number, os.strerror(number), str(target))
        except OSError as error:
            raise IrodoriError(f"{target}: {error.strerror}") from None

    monkeypatch.setattr(work, "write_photo", refuse)
    with pytest.raises(IrodoriError, match=r"^out/\d\.png: can't be written \([A-Z]"):
        color(jobs=1)
    assert len(asked) == 1


def test_a_name_too_long_for_the_output_is_one_photos_error(scans):
    Path("scans/0.png").rename(f"scans/{'x' * 250}.png")
    outcomes = color()
    errors = [one.error for one in outcomes if one.error is not None]
    assert errors == ["File name too long"]


def test_a_full_disk(scans):
    Path("full").symlink_to("/proc/1/nowhere")
    with pytest.raises(IrodoriError, match="can't be written"):
        color(output="full")


def test_a_model_that_cannot_be_loaded_ends_the_work(scans):
    def load(*_):
        raise IrodoriError("no such checkpoint")

    plan = make_plan(["scans"], "out", Options())
    with pytest.raises(IrodoriError, match="no such checkpoint"):
        list(job.color_photos(plan, Options(), print, load))
    assert not Path("out").exists()
    assert not job.at_work()


def test_an_early_end_leaves_nothing_half_done(scans):
    plan = make_plan(["scans"], "out", Options(jobs=2))
    outcomes = job.color_photos(plan, Options(jobs=2), print, lambda *_: Painter())
    next(outcomes)
    outcomes.close()
    assert not job.at_work()
    done = sorted(Path("out").iterdir())
    assert 1 <= len(done) < 6
    for path in done:
        Image.open(path).load()
    assert len(color(resume=True)) == 6 - len(done)


def test_formats_follow_the_results_names(scans):
    Path("0.jpg").write_bytes(Path("scans/0.png").read_bytes())
    Path("1.heic").write_bytes(Path("scans/1.png").read_bytes())
    color(["0.jpg", "1.heic", "scans/2.png"])
    assert Image.open("out/0.jpg").format == "PNG"  # as it was
    assert Image.open("out/1.jpg").format == "JPEG"
    color(["scans/2.png"], output="x.jpg", quality=50)
    assert Image.open("x.jpg").format == "JPEG"
    assert Image.open("out/2.png").format == "PNG"
    color(["scans/2.png"], output="out/z.tif")
    assert Image.open("out/z.tif").format == "TIFF"


def test_leftovers_of_dead_processes_are_removed(tmp_path):
    dead = 2**22 + 5  # beyond the largest number of a process
    names = {
        f".a.png.{dead}.part": False,
        f".a.png.{os.getpid()}.part": False,
        ".a.png.1.part": True,
        f".b.png.{dead}.part": True,
        "a.png.part": True,
    }
    for name in names:
        (tmp_path / name).touch()
    remove_leftovers([tmp_path / "a.png", tmp_path / "none" / "a.png"])
    assert {path.name for path in tmp_path.iterdir()} == {
        name for name, stays in names.items() if stays
    }


def test_transparency_that_a_format_cannot_keep_is_an_error_and_no_other_format(scans):
    # A header of version 4, with masks of four channels; Pillow writes none.
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 8, 8, 1, 32, 3, 256, 0, 0, 0, 0) + masks
    header += bytes(108 - len(header))
    start = struct.pack("<2sIII", b"BM", 14 + 108 + 256, 0, 14 + 108)
    Path("clear.bmp").write_bytes(start + header + bytes([90, 120, 150, 100]) * 64)
    assert Image.open("clear.bmp").mode == "RGBA"
    (outcome,) = color(["clear.bmp"])
    assert "can't hold the photo's transparency" in outcome.error
    assert not Path("out/clear.bmp").exists()


def test_a_large_working_size_counts_the_networks_memory():
    assert job.network_pixels(None) == job.network_pixels(512) == 0
    assert job.network_pixels("native") == job.network_pixels(513) > 10_000_000
