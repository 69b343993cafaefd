"""The package as it is installed: a wheel, outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import irodori
from irodori.config import PROJECT

LARGEST = 16_000_000
"""Bytes that the model that comes along may have."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The python of an environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, PROJECT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("irodori-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    place = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    told = subprocess.run([python, *place], capture_output=True, text=True, check=True)
    packages = Path(told.stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # A path in a .pth file is searched last, and the .pth files there aren't read: what stands for
    # the checkout among them has no effect.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python: Path, folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_colours_photos_with_its_own_model(installed, tmp_path):
    code = "import irodori.inference.colorizer as c; print(c.__file__); print(c.STARTER)"
    module, starter = map(Path, run(installed, tmp_path, "-c", code).split())
    assert PROJECT not in module.parents
    assert starter.is_file()
    assert starter.stat().st_size <= LARGEST
    assert (starter.parent / "MODEL_CARD.md").is_file()
    photo = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
    command = "import sys; from irodori.cli.app import app; sys.argv[0] = 'irodori'; app()"
    out = run(installed, tmp_path, "-c", command, "colorize", str(photo), "--output", "coloured")
    assert out == "coloured/castle_clinton.jpg\n"
    with Image.open(tmp_path / "coloured" / "castle_clinton.jpg") as made, Image.open(photo) as old:
        assert made.size == old.size
        assert made.convert("HSV").getchannel("S").getextrema()[1] > 40


def test_the_model_that_comes_along_knows_its_classes():
    image = Image.new("L", (300, 200), 128)
    scenes = irodori.Colorizer.load().scenes(image)
    names = ["animal", "building", "landscape", "solar_panel", "underwater", "windmill"]
    assert sorted(scenes) == names
