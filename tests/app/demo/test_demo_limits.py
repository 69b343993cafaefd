import io
import math
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from irodori.app.demo.limits import Limits, pixels_by_header
from irodori.utils.errors import IrodoriError


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "AVIF"])
def test_pixels_are_known_by_the_header(format, tmp_path):
    path = tmp_path / "photo"
    Image.new("RGB", (60, 41), "gray").save(path, format)
    assert pixels_by_header(path) == 60 * 41
    # Of what is cut off behind its header, too: nothing is decoded.
    size = path.stat().st_size
    if format not in ("TIFF", "AVIF"):
        path.write_bytes(path.read_bytes()[: max(64, size // 2)] + bytes(8))
        assert pixels_by_header(path) in (0, 60 * 41)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_tiffs_that_pillow_may_not_know(big, channels, tmp_path):
    path = tmp_path / "photo.tif"
    pixels = np.zeros((31, 17, channels) if channels > 1 else (31, 17), np.uint16)
    tifffile.imwrite(path, pixels, bigtiff=big, photometric="rgb" if channels > 1 else "minisblack")
    assert pixels_by_header(path) == 31 * 17


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo"
    heif.from_pillow(Image.new("RGB", (64, 48), "gray")).save(path)
    assert pixels_by_header(path) == 64 * 48


def test_a_few_bytes_that_claim_any_size(tmp_path):
    path = tmp_path / "bomb.png"
    content = io.BytesIO()
    Image.new("L", (1, 1)).save(content, "PNG")
    header = bytearray(content.getvalue())
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    path.write_bytes(header)
    assert pixels_by_header(path) in (math.inf, 3.6e9)
    with pytest.raises(IrodoriError, match="pixels"):
        Limits().refuse(path)


@given(st.binary(max_size=300))
def test_of_anything_else_nothing_is_known(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(content)
    assert pixels_by_header(path) == 0
    Limits().refuse(path)


def test_what_is_too_large_is_refused(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8)).save(path)
    Limits(megabytes=0.1, megapixels=0.06).refuse(path)
    with pytest.raises(IrodoriError, match=r"0\.1 million pixels; this page takes up to 0\.059"):
        Limits(megapixels=0.059).refuse(path)
    with pytest.raises(IrodoriError, match=r"0\.1 MB are more than the 0\.05 MB"):
        Limits(megabytes=0.05).refuse(path)


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"megabytes": 0}, "--max-megabytes is 0"),
        ({"megapixels": 301}, "--max-megapixels is 301: give a number above 0, up to 300"),
        ({"megapixels": math.nan}, "--max-megapixels is nan"),
        ({"photos": 101}, "--max-photos is 101"),
    ],
)
def test_limits_have_limits(wrong, part):
    with pytest.raises(IrodoriError, match=part):
        Limits(**wrong)
