"""What a command is going to do, and what it refuses before any work."""

import os
from pathlib import Path

import pytest

from irodori.imageio import Encoding
from irodori.inference.job.tasks import ColorizeTask, JobOptions, make_plan
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    for name in ("a.jpg", "b.png"):
        Path("scans", name).write_bytes(b"photo")


def pairs(plan):
    return [(str(task.source), str(task.target)) for task in plan.tasks]


def refused(pattern, arguments, output="out", **options):
    with pytest.raises(IrodoriError, match=pattern) as caught:
        make_plan(arguments, output, JobOptions(**options))
    assert "\n" not in str(caught.value)


def test_a_folder_for_the_results():
    plan = make_plan(["scans"], "out", JobOptions(encoding=Encoding("WEBP")))
    assert pairs(plan) == [("scans/a.jpg", "out/a.webp"), ("scans/b.png", "out/b.webp")]
    assert (plan.encoding.format, len(plan.everything) - len(plan.tasks)) == ("WEBP", 0)
    assert pairs(make_plan(["scans/a.jpg"], "out", JobOptions())) == [("scans/a.jpg", "out/a.jpg")]
    assert not Path("out").exists()


def test_one_photo_may_have_a_file():
    plan = make_plan(["scans/a.jpg"], "new/x.TIFF", JobOptions())
    assert (pairs(plan), plan.encoding.format) == ([("scans/a.jpg", "new/x.TIFF")], "TIFF")
    Path("folder.png").mkdir()
    assert pairs(make_plan(["scans/a.jpg"], "folder.png", JobOptions()))[0][1] == "folder.png/a.jpg"
    refused("names one file", ["scans"], "x.png")
    refused("names one file", ["scans/*.jpg"], "x.png")
    refused(
        "is PNG by its name, but --format is JPEG",
        ["scans/a.jpg"],
        "x.png",
        encoding=Encoding("JPEG"),
    )
    refused("must be that of JPEG, PNG", ["scans/a.jpg"], "x.heic")


def test_standard_input_and_output():
    assert make_plan(["-"], "-", JobOptions()).tasks == [ColorizeTask(None, None)]
    plan = make_plan(["-"], "x.png", JobOptions())
    assert (plan.tasks, plan.encoding.format) == ([ColorizeTask(None, Path("x.png"))], "PNG")
    assert make_plan(["scans/a.jpg"], "-", JobOptions()).tasks == [
        ColorizeTask(Path("scans/a.jpg"), None)
    ]
    refused("standard input", ["-", "scans"])
    refused("standard input has no name", ["-"], "out")
    refused("takes one photo", ["scans"], "-")
    Path("-").write_bytes(b"photo")
    assert pairs(make_plan(["./-"], "out", JobOptions())) == [("-", "out/-")]


def test_what_is_there_is_refused_skipped_or_done_again():
    Path("out").mkdir()
    Path("out/b.png").touch()
    refused(r"out/b\.png already exists: --resume .* --overwrite", ["scans"])
    plan = make_plan(["scans"], "out", JobOptions(resume=True))
    assert pairs(plan) == [("scans/a.jpg", "out/a.jpg")]
    assert (len(plan.tasks), len(plan.everything)) == (1, 2)
    assert len(make_plan(["scans"], "out", JobOptions(overwrite=True)).tasks) == 2
    Path("out/a.jpg").touch()
    refused(r"out/a\.jpg and 1 more already exist", ["scans"])
    assert make_plan(["scans"], "out", JobOptions(resume=True)).tasks == []
    Path("out/a.jpg").unlink()
    Path("out/a.jpg").mkdir()
    refused("is a folder", ["scans"], overwrite=True)


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_nothing_that_is_read_is_replaced(options):
    refused("would be replaced", ["scans/a.jpg"], "scans", **options)
    refused("would be replaced", ["scans/a.jpg"], "scans/../scans/a.jpg", **options)
    Path("out").mkdir()
    os.link("scans/b.png", "out/b.png")
    refused("would be replaced", ["scans"], **options)
    refused("would be replaced", ["scans/b.png"], "scans/a.jpg", style=Path("scans/a.jpg"))
    # Beside a photo, under another name, is fine.
    assert pairs(make_plan(["scans/a.jpg"], "scans", JobOptions(encoding=Encoding("PNG")))) == [
        ("scans/a.jpg", "scans/a.png")
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"jobs": 0},
        {"page": 0},
        {"device": "tpu"},
        {"source_type": "photograph"},
        {"style": Path("none.jpg")},
        {"checkpoint": Path("none.ckpt")},
        {"settings": ColorizeSettings(style_strength=0.5)},
        {"overwrite": True, "resume": True},
        {"label": True, "provenance": False},
        {"source_type": "compositeSynthetic", "provenance": False},
    ],
)
def test_values_out_of_range_are_one_line(wrong):
    with pytest.raises(IrodoriError, match=r"^--[^\n]*$"):
        JobOptions(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"work_size": 31},
        {"saturation": -0.1},
        {"saturation": 2.1},
        {"style_strength": 1.1},
        {"style_strength": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(IrodoriError, match=next(iter(wrong)).replace("_", " ")):
        ColorizeSettings(**wrong)
