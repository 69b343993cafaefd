"""Photos colorized by several threads, with a stand-in for the network."""

import errno
import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tiny
from irodori.imageio import Encoding, OutputError
from irodori.inference.job import run as job
from irodori.inference.job.tasks import ColorizeTask, JobOptions, Plan, make_plan
from irodori.inference.prepared_photo import Colored
from irodori.utils.errors import IrodoriError


class Model:
    """Turns photos red; remembers how many did so at a time. `act` may refuse."""

    provenance = None

    def __init__(self, act=None):
        self.act = act or (lambda pixels: None)
        self.lock = threading.Lock()
        self.active = self.most = 0

    def __call__(self, pixels_HWC, sharing=1, hints=()):
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
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
        tiny.photo(number).convert("L").save(f"scans/{number}.png")
    return Path("scans")


def color(arguments=("scans",), model=None, reported=None, output="out", **options):
    options = JobOptions(**options)
    plan = make_plan(arguments, output, options)
    report = (reported if reported is not None else []).append
    return list(job.colorize_photos(plan, options, report, lambda *_: model or Model()))


def errors_of(outcomes):
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    return {outcome.task.source.name: outcome.error for outcome in failed}


def test_photos_are_read_colorized_and_written(scans):
    model = Model()
    outcomes = color(model=model, jobs=3)
    assert 1 <= model.most <= 3
    assert sorted(str(outcome.target) for outcome in outcomes) == [f"out/{n}.png" for n in range(6)]
    for one in outcomes:
        assert one.error is None
        with Image.open(one.target) as result, Image.open(one.task.source) as photo:
            assert one.size == result.size == photo.size
            assert not np.asarray(result)[..., 1:].any()
        assert (one.work_size, one.scenes) == ((20, 16), {"sea": 0.75, "hill": 0.25})
        assert one.seconds >= 0.01


def order_with_a_slow_first(count):
    """In what order photos are done, two at a time, the first when so many others are."""
    others, slow = threading.Event(), np.asarray(Image.open("scans/0.png")).mean()

    def wait(pixels):
        if pixels.mean() == slow:
            assert others.wait(20)

    options, names = JobOptions(jobs=2), []
    plan = make_plan(["scans"], "out", options)
    for outcome in job.colorize_photos(plan, options, print, lambda *_: Model(wait)):
        names.append(outcome.task.source.name)
        if len(names) == count:
            others.set()
    return names


def test_a_slow_photo_does_not_hold_up_the_others(scans):
    names = order_with_a_slow_first(5)
    assert names[-1] == "0.png"
    assert len(names) == 6


def test_a_bad_photo_is_reported_and_the_rest_go_on(scans):
    Path("scans/bad.jpg").write_bytes(b"no picture")
    Path("scans/empty.png").touch()
    errors = errors_of(color(["scans", "scans/none.jpg"]))
    assert set(errors) == {"bad.jpg", "empty.png", "none.jpg"}
    assert errors["none.jpg"] == "No such file or directory"
    assert "scans" not in "".join(errors.values())
    assert len(list(Path("out").iterdir())) == 6


def test_a_photo_in_color_is_left_as_it_is_and_named(scans):
    picture = np.zeros((30, 40, 3), np.uint8)
    picture[:15, :, 0] = picture[15:, :, 2] = 200
    Image.fromarray(picture).save("scans/0.png")
    first, *_ = sorted(color(), key=lambda one: str(one.task))
    assert "--recolor" in first.left
    assert first.target is None
    assert len(list(Path("out").iterdir())) == 5
    assert "--recolor" in errors_of(color(["scans/0.png"], output="one.png"))["0.png"]
    outcomes = color(["scans/0.png"], recolor=True)
    assert outcomes[0].left is None
    assert Path("out/0.png").exists()


def test_what_the_network_fails_on_is_reported(scans):
    def refuse(pixels):
        raise ZeroDivisionError("by\nzero")

    (outcome,) = color(["scans/0.png"], Model(refuse))
    assert outcome.error == "ZeroDivisionError: by zero"
    assert not Path("out").exists()


def test_without_memory_photos_are_tried_again_alone_and_none_is_lost(scans):
    model = Model()

    def refuse(pixels):
        time.sleep(0.02)
        if model.active > 1:
            raise MemoryError

    model.act = refuse
    outcomes = color(model=model, reported=(lines := []), jobs=4)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    assert lines
    assert "not enough memory" in lines[0]


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
        if pixels.shape[:2] == (33, 39):
            raise error

    errors = errors_of(color(model=Model(refuse), jobs=2))
    assert set(errors) == {"2.png", "5.png"}
    assert all(error.startswith("not enough memory, even alone") for error in errors.values())
    assert len(list(Path("out").iterdir())) == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 100), st.lists(st.integers(0, 150), max_size=40))
def test_the_limits_hold_and_every_task_runs_once(jobs, budget, costs):
    lock, active = threading.Lock(), []

    class Job(job._Job):
        def _cost(self, task):
            return costs[int(str(task))]

        def _try(self, task, alone):
            with lock:
                active.append(self._cost(task))
                assert len(active) <= jobs
                assert len(active) == 1 or sum(active) <= self.budget
                assert not alone or len(active) == 1
            time.sleep(0.0003)
            with lock:
                active.remove(self._cost(task))
            return job.Outcome(task)

    tasks = [ColorizeTask(Path(str(number)), None) for number in range(len(costs))]
    plan = Plan(tasks, Encoding(), tasks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_Job", Job)
        patch.setattr(job, "MEMORY", -(-budget // min(jobs, max(1, len(costs)))))
        outcomes = list(job.colorize_photos(plan, JobOptions(jobs=jobs), print, lambda *_: None))
    assert sorted(str(outcome.task) for outcome in outcomes) == sorted(map(str, tasks))
    assert {outcome.error for outcome in outcomes} <= {None}


def test_a_photo_that_waits_for_memory_holds_up_no_other_that_fits(scans, monkeypatch):
    costs = {"0.png": 20, "1.png": 90}
    monkeypatch.setattr(job._Job, "_cost", lambda self, task: costs.get(task.source.name, 20))
    monkeypatch.setattr(job, "MEMORY", 50)
    assert order_with_a_slow_first(4) == ["2.png", "3.png", "4.png", "5.png", "0.png", "1.png"]


def test_photos_share_the_cores_with_those_that_run(scans):
    shares = []

    class Sharing(Model):
        def __call__(self, pixels_HWC, sharing=1, hints=()):
            shares.append(sharing)
            return super().__call__(pixels_HWC, sharing, hints)

    color(model=Sharing(), jobs=3)
    assert set(shares[:3]) == {3}
    assert max(shares) == 3
    shares.clear()
    color(["scans/0.png"], model=Sharing(), output="one.png")
    assert shares == [1]


def test_few_bytes_are_in_flight(scans, monkeypatch):
    monkeypatch.setattr(job, "MEMORY", 1)
    color(model=(model := Model()), jobs=4)
    assert model.most == 1


def test_a_page_of_several_counts_by_its_size(scans):
    first, *others = (tiny.photo(number) for number in range(2))
    first.save("pages.tif", save_all=True, append_images=others)
    options = JobOptions(page=2)
    plan = make_plan(["pages.tif"], "out", options)
    assert job._Job(plan, options, print)._cost(plan.tasks[0]) > 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_an_output_that_cannot_be_written_ends_the_work(scans, monkeypatch, number):
    asked = []

    def refuse(descriptor):
        asked.append(descriptor)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=r"^out/\d\.png: [A-Z]"):
        color(jobs=1)
    assert len(asked) == 1


def test_names_of_255_bytes(scans):
    name = f"{'x' * 251}.png"
    Path("scans/0.png").rename(f"scans/{name}")
    assert errors_of(color()) == {}
    assert Path("out", name).exists()
    assert {path.suffix for path in Path("out").iterdir()} == {".png"}


def test_a_model_that_cannot_be_loaded_ends_the_work(scans):
    def load(*_):
        raise IrodoriError("no such checkpoint")

    plan = make_plan(["scans"], "out", JobOptions())
    with pytest.raises(IrodoriError, match="no such checkpoint"):
        list(job.colorize_photos(plan, JobOptions(), print, load))
    assert not Path("out").exists()


def test_an_early_end_leaves_nothing_half_done(scans):
    options = JobOptions(jobs=2)
    plan = make_plan(["scans"], "out", options)
    outcomes = job.colorize_photos(plan, options, print, lambda *_: Model())
    next(outcomes)
    outcomes.close()
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
    assert Image.open("out/1.jpg.png").format == "PNG"  # nothing is lost
    color(["scans/2.png"], output="x.jpg", encoding=Encoding(quality=50))
    assert Image.open("x.jpg").format == "JPEG"
    color(["scans/2.png"], output="out/z.tif")
    assert Image.open("out/z.tif").format == "TIFF"


def clear_bmp(path):
    """Transparent: a header of version 4, with masks of four channels; Pillow writes none."""
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 8, 8, 1, 32, 3, 256, 0, 0, 0, 0) + masks
    header += bytes(108 - len(header))
    start = struct.pack("<2sIII", b"BM", 14 + 108 + 256, 0, 14 + 108)
    path.write_bytes(start + header + bytes([120, 120, 120, 100]) * 64)
    assert Image.open(path).mode == "RGBA"


def test_transparency_takes_a_format_that_holds_it_and_is_named(scans):
    clear_bmp(Path("scans/clear.bmp"))
    (outcome,) = color(["scans/clear.bmp"])
    assert str(outcome.target) == "out/clear.bmp.png"
    assert any("clear.bmp.png" in note for note in outcome.notes)
    with Image.open(outcome.target) as result:
        assert np.asarray(result)[..., 3].max() == 100
    half = Path("out/.clear.bmp.png.999999999.part")
    half.touch()  # of a process that was killed
    idle = Model(lambda pixels: pytest.fail("colorized again"))
    (again,) = color(["scans/clear.bmp"], idle, resume=True)
    assert "done already" in again.left
    assert not half.exists()
    # Nor does it replace what is there, or another photo's result.
    assert errors_of(color(["scans/clear.bmp"])) == {
        "clear.bmp": "out/clear.bmp.png already exists"
    }
    Path("scans/0.png").rename("scans/clear.bmp.png")
    assert "clear.bmp" in errors_of(color(output="new", overwrite=True))
    errors = errors_of(color(["scans/clear.bmp"], encoding=Encoding("BMP")))
    assert "transparency" in errors["clear.bmp"]


def test_dates_and_sidecars(scans):
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li '
        b'xml:lang="x-default">On the beach</rdf:li></rdf:Alt></dc:title></rdf:Description>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    Path("scans/0.xmp").write_bytes(packet)
    Path("scans/1.png.xmp").write_bytes(packet)
    os.utime("scans/0.png", ns=(10**18, 10**18))
    color(["scans/0.png", "scans/1.png"], dates=True)
    assert Path("out/0.png").stat().st_mtime_ns == 10**18
    for name in ("0.png", "1.png"):
        assert b"On the beach" in Path("out", name).read_bytes()
