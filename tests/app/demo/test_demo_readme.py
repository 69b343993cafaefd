"""The README's examples of the demo's API, run as they stand there, but for the port."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from demo_server import serving

from irodori.config import PROJECT
from irodori.imageio import Encoding, read_photo, write_photo
from irodori.inference.colorizer import Colorizer
from irodori.inference.settings import ColorizeSettings

pytest.importorskip("gradio_client", reason="the demo needs `pip install 'irodori[demo]'`")

ADDRESS = "http://127.0.0.1:7860"


def block(kind, part):
    """The README's block of code that holds this."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", (PROJECT / "README.md").read_text(), flags=re.S)
    (found,) = (one for one in blocks if part in one)
    return found


@pytest.mark.slow
def test_python_and_curl(tmp_path):
    (tmp_path / "data").symlink_to(PROJECT / "data")
    in_python, in_sh = block("python", "gradio_client"), block("sh", "curl")
    assert ADDRESS in in_python
    assert ADDRESS in in_sh
    with serving() as address:
        shown = in_python.replace(ADDRESS, address) + "print(scenes['building'], colorized)\n"
        command = [sys.executable, "-c", shown]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        share, by_python = told.stdout.splitlines()[-1].split(" ", 1)
        subprocess.run(["sh", "-ec", in_sh.replace(ADDRESS, address)], cwd=tmp_path, check=True)
    photo = read_photo(PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg")
    colored = Colorizer.load(settings=ColorizeSettings(saturation=1.2)).color(photo.pixels)
    write_photo(tmp_path / "expected.jpg", colored.pixels_HW3, photo, Encoding())
    expected = read_photo(tmp_path / "expected.jpg").pixels
    for path in (tmp_path / "colorized.jpg", Path(by_python)):
        assert np.array_equal(read_photo(path).pixels, expected)
    assert float(share) == pytest.approx(colored.scenes["building"], rel=1e-3)


def test_the_page_is_named_with_its_picture():
    assert "irodori demo" in block("sh", "irodori demo")
    assert (PROJECT / "docs" / "demo.png").stat().st_size < 300_000
