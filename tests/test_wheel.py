"""The package as it is installed: a wheel, outside the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import irodori
from irodori.config import PROJECT

LARGEST = 16_000_000
"""Bytes that the bundled model may have."""


@pytest.mark.slow
def test_the_wheel_colors_photos_with_its_own_model(tmp_path):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command = [*pip, "--no-build-isolation", "--target", site, PROJECT]
    subprocess.run(command, check=True)
    package = Path(irodori.__file__).parent
    data = {
        path.relative_to(package)
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert [path for path in data if not (site / "irodori" / path).is_file()] == []
    starter = site / "irodori" / "inference" / "starter" / "starter.safetensors"
    assert starter.stat().st_size <= LARGEST
    photo = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
    code = "import irodori; print(irodori.__file__); from irodori.cli.app import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, "colorize", photo, "--output", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    imported, written = done.stdout.splitlines()
    assert Path(imported) == site / "irodori" / "__init__.py"
    assert written == "out/castle_clinton.jpg"
    with Image.open(tmp_path / "out" / "castle_clinton.jpg") as made, Image.open(photo) as old:
        assert made.size == old.size
        assert made.convert("HSV").getchannel("S").getextrema()[1] > 40


def test_the_bundled_model_knows_its_classes():
    image = Image.new("L", (300, 200), 128)
    scenes = irodori.Colorizer.load().scenes(image)
    assert len(scenes) == 12
    assert {"people", "food", "landscape"} < set(scenes)
