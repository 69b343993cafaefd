"""Color profiles against float64 transcriptions of what they say."""

import io
import zlib

import imagecodecs
import numpy as np
import pytest
from photo_files import (
    cmyk_icc,
    encoded,
    from_adobe,
    icc,
    picture,
    png_chunk,
    saved,
    tiff,
    written,
)
from PIL import Image, ImageCms

from irodori.imageio import read_photo
from irodori.imageio.color import srgb

RGB, GRAY = picture(), picture(channels=1)
DEEP, DEEP_GRAY = picture(dtype=np.uint16), picture(channels=1, dtype=np.uint16)
WIDE = icc("rgb", 563 / 256)
LIGHT = icc("gray", 1.8)


def deep_png(pixels, profile):
    content = imagecodecs.png_encode(pixels.squeeze())
    return png_chunk(content, b"iCCP", b"p\0\0" + zlib.compress(profile))


def in_gamut(rgb):
    """Where the transcription need not say how what lies outside is brought in."""
    wanted = from_adobe(rgb)
    return ((wanted > 0) & (wanted < 1)).all(-1), wanted


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_8_bit_rgb(form):
    extra = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "JPEG" else {}
    content = saved(RGB, form, icc_profile=WIDE, **extra)
    stored = np.asarray(Image.open(io.BytesIO(content)))
    inside, wanted = in_gamut(stored / 255)
    assert inside.mean() > 0.4
    error = np.abs(read_photo(content).pixels - wanted * 255)[inside]
    assert error.max() <= 1.1
    assert np.abs(stored - wanted * 255)[inside].max() > 10  # there is something to do


def test_16_bit_rgb():
    inside, wanted = in_gamut(DEEP / 65535)
    for content in (
        deep_png(DEEP, WIDE),
        tiff(DEEP, photometric="rgb", iccprofile=WIDE),
    ):
        photo = read_photo(content)
        assert photo.pixels.dtype == np.uint16
        # Of 65535: the numbers in a profile have 16 bits. Through 8 bits it would be 128.
        assert np.abs(photo.pixels - wanted * 65535)[inside].max() <= 40


def test_8_and_16_bit_gray_become_neutral():
    wanted = encoded((GRAY / 255) ** 1.8) * 255
    for form in ("PNG", "TIFF"):
        photo = read_photo(saved(GRAY, form, icc_profile=LIGHT))
        assert photo.pixels.shape == GRAY.shape
        assert np.abs(photo.pixels - wanted).max() <= 0.75
    assert np.abs(GRAY - wanted).max() > 10
    wanted = encoded((DEEP_GRAY / 65535) ** 1.8) * 65535
    for content in (
        deep_png(DEEP_GRAY, LIGHT),
        tiff(DEEP_GRAY[..., 0], photometric="minisblack", iccprofile=LIGHT),
    ):
        assert np.abs(read_photo(content).pixels - wanted).max() <= 40


def test_cmyk():
    image = Image.fromarray(RGB).convert("CMYK")
    inks = np.asarray(image)
    profile = cmyk_icc()
    # Light through ideal filters, interpolated between the sixteen full inks in L*a*b* of gray.
    cover = inks[..., :3].astype(float).mean(-1) / 255, inks[..., 3] / 255
    lightness = 100 * (1 - cover[0]) * (1 - cover[1])
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    wanted = encoded(linear)[..., None]
    for content in (
        saved(image, "TIFF", icc_profile=profile),
        saved(image, "TIFF", compression="tiff_lzw", icc_profile=profile),
    ):
        assert np.abs(read_photo(content).pixels - wanted * 255).max() <= 4
    deep = tiff(inks.astype(np.uint16) * 257, photometric="separated", iccprofile=profile)
    photo = read_photo(deep)
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels / 257 - wanted * 255).max() <= 4


def test_alpha_is_no_color():
    alpha = picture(channels=1, seed=4)
    photo = read_photo(saved(np.dstack([RGB, alpha]), "PNG", icc_profile=WIDE))
    np.testing.assert_array_equal(photo.alpha, alpha[..., 0])
    np.testing.assert_array_equal(
        photo.pixels, read_photo(saved(RGB, "PNG", icc_profile=WIDE)).pixels
    )


@pytest.mark.parametrize(
    "profile",
    [
        b"nonsense",
        WIDE[:200],
        LIGHT,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    ],
    ids=["nonsense", "cut", "gray", "sRGB"],
)
def test_what_does_not_fit_is_left_aside(profile):
    np.testing.assert_array_equal(read_photo(saved(RGB, "TIFF", icc_profile=profile)).pixels, RGB)
    np.testing.assert_array_equal(read_photo(deep_png(DEEP, profile)).pixels, DEEP)
    if profile != LIGHT:
        gray = read_photo(saved(GRAY, "TIFF", icc_profile=profile))
        np.testing.assert_array_equal(gray.pixels, GRAY)
        np.testing.assert_array_equal(read_photo(deep_png(DEEP_GRAY, profile)).pixels, DEEP_GRAY)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_results_carry_srgb(form):
    photo = read_photo(saved(RGB, "PNG", icc_profile=WIDE))
    profile = Image.open(io.BytesIO(written(photo, form))).info["icc_profile"]
    assert profile == srgb()
    assert len(profile) < 1000
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert "sRGB" in ImageCms.getProfileDescription(opened)
    linear = ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
    assert np.abs(encoded(linear)[11:] - np.arange(256)[11:] / 255).max() < 1e-6
