"""Checkpoints that name classes of other packages, which the user has to trust."""

import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import tiny
from irodori import Colorizer
from irodori.app.demo.service import Models
from irodori.app.naturalness.building import find_methods
from irodori.cli.app import app
from irodori.utils.errors import IrodoriError
from networks import colorful_model, save_checkpoint

PACKAGE = "colors_of_my_own"
FLAG = f"--trust {PACKAGE}"


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """best.ckpt in a run folder, whose color space is a class of a package of the user's."""
    folder = tmp_path / "site" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from irodori.color import Lab\n\n\nclass Mine(Lab):\n    '''As L*a*b*.'''\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    space = __import__(PACKAGE).Mine()
    # What is loaded by now isn't there when a command begins.
    del sys.modules[PACKAGE]
    path = save_checkpoint(colorful_model(space=space), tmp_path / "run/checkpoints/best.ckpt")
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "styles"):
        (tmp_path / name).mkdir()
        tiny.photo(0).convert("L").save(tmp_path / name / "a.png")
    yield path
    sys.modules.pop(PACKAGE, None)


@pytest.mark.parametrize(
    "words",
    [
        ["colorize", "photos", "--output", "out", "--recolor"],
        ["sheet", "photos", "--styles", "styles", "--output", "out.png"],
        ["export", "--format", "safetensors", "--output", "out.safetensors"],
    ],
)
def test_a_foreign_class_is_refused_unless_its_package_is_trusted(checkpoint, words):
    words = [*words, "--checkpoint", str(checkpoint)]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"error: {checkpoint}: ")
    assert f"{PACKAGE}.Mine" in line
    assert FLAG in line
    assert PACKAGE not in sys.modules
    done = CliRunner().invoke(app, [*words, "--trust", "another", "--trust", PACKAGE])
    assert (done.exit_code, done.stderr) == (0, "")


def test_from_python_and_by_the_run_folder(checkpoint):
    run = checkpoint.parent.parent
    with pytest.raises(IrodoriError, match=FLAG):
        Colorizer.load(run)
    photo = Image.open("photos/a.png")
    colored = Colorizer.load(run, trust=[PACKAGE])(photo)
    with pytest.raises(IrodoriError, match=FLAG):
        Models([run]).load(f"{run.parent.name}/{run.name}")
    assert Models([run], trust=[PACKAGE]).load(f"{run.parent.name}/{run.name}")(photo) == colored
    with pytest.raises(IrodoriError, match=FLAG):
        find_methods(Path("photos"), [str(run)])[1].loader()
    find_methods(Path("photos"), [str(run)], trust=[PACKAGE])[1].loader()
