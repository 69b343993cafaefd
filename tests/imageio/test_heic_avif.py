"""HEIC, whose decoder is an extra, and AVIF."""

import importlib
import io

import imagecodecs
import numpy as np
import pytest
from photo_files import exif, picture, saved
from PIL import Image, ImageOps

from irodori.imageio import read_photo
from irodori.utils.errors import IrodoriError

RGB, DEEP = picture(), picture(dtype=np.uint16)
DEEP_ALPHA = picture(channels=1, dtype=np.uint16, seed=1)[..., 0]


def test_heic_where_its_decoder_is():
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    smooth = np.asarray(Image.fromarray(RGB).resize((128, 96)))
    photo = read_photo(saved(smooth, "HEIF", quality=95, exif=exif(1, 128, 96)))
    assert photo.format == "HEIF"
    assert np.abs(photo.pixels.astype(int) - smooth).mean() < 4
    assert photo.metadata.exif is not None


@pytest.mark.parametrize("bits", [10, 12])
def test_heic_of_more_than_8_bits_keeps_them(bits):
    heif = pytest.importorskip("pillow_heif")
    levels = DEEP.repeat(4, 0).repeat(4, 1) >> (16 - bits)
    heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        image = heif.from_bytes("RGB;16", levels.shape[1::-1], (levels << (16 - bits)).tobytes())
        image.save(file := io.BytesIO(), quality=-1, chroma=444, matrix_coefficients=0)
    finally:
        heif.options.SAVE_HDR_TO_12_BIT = False
    photo = read_photo(file.getvalue())
    white = (1 << bits) - 1
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels / 65535 * white - levels).max() <= 2  # its encoder rounds


def test_of_a_heic_with_several_pictures_the_primary_one_or_a_chosen_one():
    heif = pytest.importorskip("pillow_heif")
    first = Image.fromarray(RGB).resize((64, 48))
    file = heif.from_pillow(first)
    file.add_from_pillow(Image.new("RGB", (32, 32), (250, 250, 250)))
    file.save(content := io.BytesIO(), primary_index=0)
    assert read_photo(content.getvalue()).pixels.shape == (48, 64, 3)
    assert read_photo(content.getvalue()).notes == ("picture 1 of 2",)
    assert read_photo(content.getvalue(), page=2).pixels.shape == (32, 32, 3)
    with pytest.raises(IrodoriError, match="no page 3: it has 2"):
        read_photo(content.getvalue(), page=3)


@pytest.mark.parametrize("orientation", [3, 6])
def test_heic_stands_upright_once(orientation):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    smooth = Image.fromarray(RGB).resize((64, 48))
    content = saved(smooth, "HEIF", quality=95, exif=exif(orientation, 64, 48))
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    photo = read_photo(content)
    assert photo.pixels.shape == wanted.shape
    assert np.abs(photo.pixels.astype(int) - wanted).mean() < 1


def test_heic_without_its_decoder_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(IrodoriError, match=r"pip install 'irodori\[heif\]'"):
        read_photo(b"\0\0\0\x18ftypheic" + bytes(30))


def test_avif():
    smooth = np.asarray(Image.fromarray(RGB).resize((64, 48)))
    photo = read_photo(saved(smooth, "AVIF", quality=95))
    assert photo.format == "AVIF"
    assert photo.pixels.dtype == np.uint8
    assert np.abs(photo.pixels.astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_than_8_bits_keeps_them(bits):
    levels = np.dstack([DEEP, DEEP_ALPHA]).repeat(2, 0).repeat(2, 1) >> (16 - bits)
    for stored in (levels, levels[..., :3]):
        content = imagecodecs.avif_encode(stored, bitspersample=bits, level=100)
        photo = read_photo(content)
        wanted = np.rint(stored * (65535 / ((1 << bits) - 1)))
        assert photo.pixels.dtype == np.uint16
        assert np.abs(photo.pixels - wanted[..., :3]).max() <= 65535 / (1 << bits) * 4
        assert (photo.alpha is not None) == (stored.shape[2] == 4)
