import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2lab

from irodori.color import Lab
from irodori.inference.luminance import PhotoLuminance, to_levels
from photographs import photographs

CPU = torch.device("cpu")


def of(pixels, made_by=Lab):
    return PhotoLuminance(pixels, made_by(), CPU)


def noise(shape, dtype, seed=0):
    white = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, white, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_lightness_of_scikit_image(dtype, channels):
    pixels = noise((9, 13, channels), dtype)
    rgb = np.broadcast_to(pixels, (9, 13, 3)) / np.iinfo(dtype).max
    expected = rgb2lab(rgb)[..., 0] / 100
    # scikit-image's matrix has fewer digits.
    np.testing.assert_allclose(of(pixels).rows(0, 9)[0, 0], expected, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 39), st.sampled_from([1, 3]))
def test_parts_are_parts_of_the_whole(height, width, first, channels):
    first %= height
    pixels = noise((height, width, channels), np.uint8)
    whole = of(pixels).whole()
    assert whole.shape == (1, 1, height, width)
    found = of(pixels).rows(first, height)
    torch.testing.assert_close(found, whole[:, :, first:], atol=1e-6, rtol=0)


def test_gray_is_the_same_in_one_channel_and_in_three():
    gray = noise((8, 8, 1), np.uint16)
    one, three = of(gray).whole(), of(np.repeat(gray, 3, axis=2)).whole()
    torch.testing.assert_close(one, three, atol=1e-6, rtol=0)
    assert of(np.repeat(gray, 3, axis=2)).pixels_HWC.shape == (8, 8, 1)
    tinted = np.repeat(gray, 3, axis=2)
    tinted[-1, -1, 2] ^= 1
    assert of(tinted).pixels_HWC.shape == (8, 8, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_smaller_one_is_that_of_pillows_smaller_photo(dtype):
    photo = photographs(1)[0].permute(1, 2, 0).numpy()
    deep = photo if dtype == np.uint8 else photo.astype(np.uint16) * 257
    height, width = photo.shape[0] // 3, photo.shape[1] // 2
    small = Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR)
    expected = of(np.asarray(small)).whole()
    found = of(deep).at(height, width)
    # Levels are rounded after each direction, where torch and Pillow may differ by one.
    assert (found - expected).abs().max() < 1.5 / 255
    assert (found - expected).abs().mean() < 0.1 / 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_there_and_back(dtype):
    pixels = noise((5, 6, 3), dtype)
    rgb = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(dtype).max).permute(2, 0, 1)[None]
    made = to_levels(rgb, np.dtype(dtype))
    assert made.dtype == dtype
    assert np.array_equal(made, pixels)
    assert to_levels(torch.tensor([-0.2, 1.2, 0.5])[None, :, None, None], np.dtype(dtype))[
        0, 0, :2
    ].tolist() == [0, np.iinfo(dtype).max]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_photo_is_refused(pixels):
    with pytest.raises(ValueError, match="H×W×1 or H×W×3"):
        of(pixels)
