import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irodori.data import augment
from irodori.data.augment import Augmentation
from irodori.utils.errors import IrodoriError

DRAW = st.floats(0, 1, exclude_max=True, width=32)
DRAWS = st.lists(st.lists(DRAW, min_size=9, max_size=9), min_size=1, max_size=4)


def random_draws(count, seed=0):
    return torch.rand(count, 9, generator=torch.Generator().manual_seed(seed))


def transcription(image_CHW, window, side, mirrored):
    """Bilinear sampling of the window in float64, pixel centers at half integers."""
    left, top, width, height = (float(value) for value in window)
    rows, columns = image_CHW.shape[1:]
    result = np.empty((len(image_CHW), side, side))
    for i in range(side):
        for j in range(side):
            column = side - 1 - j if mirrored else j
            y = np.clip(top + (i + 0.5) / side * height - 0.5, 0, rows - 1)
            x = np.clip(left + (column + 0.5) / side * width - 0.5, 0, columns - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, rows - 1), min(x0 + 1, columns - 1)
            fy, fx = y - y0, x - x0
            above = (1 - fx) * image_CHW[:, y0, x0] + fx * image_CHW[:, y0, x1]
            below = (1 - fx) * image_CHW[:, y1, x0] + fx * image_CHW[:, y1, x1]
            result[:, i, j] = (1 - fy) * above + fy * below
    return result


@pytest.mark.parametrize(
    ("side", "scale", "aspect", "size"),
    [
        (12, (0.3, 1.0), 1.5, (20, 20)),
        (16, (1.0, 1.0), 1.0, (10, 10)),
        (9, (0.5, 0.9), 2.0, (21, 33)),
        (1, (0.2, 1.0), 1.0, (8, 8)),
    ],
)
def test_it_samples_as_an_independent_transcription(side, scale, aspect, size):
    crop = Augmentation(side, scale, aspect, flip=True)
    images = torch.rand(6, 3, *size, generator=torch.Generator().manual_seed(1))
    draws = random_draws(6)
    assert 0 < (draws[:, 4] < 0.5).sum() < 6
    result = crop.on_rgb(images, draws)
    assert result.shape == (6, 3, side, side)
    assert result.dtype == torch.float32
    windows = crop.windows(draws, *size)
    for image, window, draw, made in zip(images, windows, draws, result, strict=True):
        expected = transcription(image.double().numpy(), window, side, draw[4] < 0.5)
        np.testing.assert_allclose(made, expected, atol=1e-4)


@pytest.mark.parametrize("flip", [False, True])
def test_the_papers_crop_copies_pixels(flip):
    crop = Augmentation(224, (0.875, 0.875), 1.0, flip)
    images = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(2))
    draws = random_draws(4, seed=3)
    draws[0, 2:4], draws[1, 2:4] = 0, 1 - 2**-24
    draws[:, 4] = torch.tensor([0.2, 0.7, 0.499999, 0.5])
    windows = crop.windows(draws, 256, 256)
    assert windows[:2, :2].tolist() == [[0, 0], [32, 32]]
    for image, window, draw, made in zip(
        images, windows, draws, crop.on_rgb(images, draws), strict=True
    ):
        left, top, width, height = window.tolist()
        assert (left % 1, top % 1) == (0, 0)
        assert (width, height) == (224, 224)
        copy = image[:, int(top) : int(top) + 224, int(left) : int(left) + 224]
        if flip and draw[4] < 0.5:
            copy = copy.flip(2)
        torch.testing.assert_close(made, copy, rtol=0, atol=1e-4)


def test_the_papers_crop_reaches_every_position_equally_often():
    crop = Augmentation(224, (0.875, 0.875), 1.0, flip=True)
    corners = crop.windows(random_draws(33_000), 256, 256)[:, :2]
    for axis in (0, 1):
        positions, counts = corners[:, axis].unique(return_counts=True)
        assert positions.tolist() == list(range(33))
        assert 800 < counts.min() <= counts.max() < 1200  # 1000 expected, ±6 deviations
    assert abs(np.corrcoef(corners.T.numpy())[0, 1]) < 0.03


@settings(max_examples=60)
@given(
    DRAWS,
    st.floats(0.05, 1),
    st.floats(0.05, 1),
    st.floats(1, 4),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_windows_lie_inside_the_image(draws, one, other, aspect, height, width):
    crop = Augmentation(24, (min(one, other), max(one, other)), aspect, flip=True)
    windows = crop.windows(torch.tensor(draws), height, width)
    left, top, window_width, window_height = windows.double().unbind(1)
    slack = 1e-4 * max(height, width)
    assert (windows[:, :2] >= -slack).all()
    assert (windows[:, 2:] > 0).all()
    assert (left + window_width <= width + slack).all()
    assert (top + window_height <= height + slack).all()


def test_scale_and_aspect_span_their_ranges():
    crop = Augmentation(32, (0.3, 0.5), 1.5, flip=True)
    size = crop.windows(random_draws(5000), 200, 200)[:, 2:].double()
    ratio, scale = size[:, 0] / size[:, 1], size.prod(1).sqrt() / 200
    assert 1 / 1.5 - 1e-6 <= ratio.min() < 0.68 < 1.48 < ratio.max() <= 1.5 + 1e-6
    assert 0.3 - 1e-6 <= scale.min() < 0.301 < 0.499 < scale.max() <= 0.5 + 1e-6
    assert abs(ratio.log().mean()) < 0.02


def test_it_samples_in_fp32_under_autocast_and_tf32():
    crop = Augmentation(32, (0.5, 1.0), 1.3, flip=True)
    images, draws = torch.rand(3, 3, 64, 64), random_draws(3)
    exact = crop.on_rgb(images, draws)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(crop.on_rgb(images, draws), exact)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_sample_depends_on_its_own_draws_alone():
    augmentation = Augmentation(12, (0.4, 1.0), 1.3, flip=True, age=0.5)
    images, draws = torch.rand(8, 3, 20, 20), random_draws(8)
    for count in (1, 3):
        rgb = augmentation.on_rgb(images, draws)
        part = augmentation.on_rgb(images[-count:], draws[-count:])
        torch.testing.assert_close(part, rgb[-count:], rtol=0, atol=0)
        luminance = augmentation.on_luminance(rgb[:, :1], draws)
        part = augmentation.on_luminance(part[:, :1], draws[-count:])
        torch.testing.assert_close(part, luminance[-count:], rtol=0, atol=0)


def test_the_draw_decides_which_are_aged_and_the_share_holds():
    augmentation = Augmentation(40, age=0.3)
    pictures = torch.rand(1, 1, 40, 40).expand(400, -1, -1, -1)
    draws = torch.zeros(400, 6)
    draws[:, 5] = torch.rand(400, generator=torch.Generator().manual_seed(3))
    old = augmentation.on_luminance(pictures, draws)
    changed = (old != pictures).flatten(1).any(1)
    # Four standard deviations of a share of 400.
    assert abs(changed.float().mean() - 0.3) < 4 * (0.3 * 0.7 / 400) ** 0.5
    assert torch.equal(old, augmentation.on_luminance(pictures, draws))
    assert torch.equal(old, augmentation.on_luminance(pictures, draws.flip(0)).flip(0))
    assert len({tuple(picture.flatten().tolist()) for picture in old[changed]}) == changed.sum()
    assert Augmentation(40, age=0.0).on_luminance(pictures, draws) is pictures


def test_the_warp_is_kornias(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("kornia was called")

    monkeypatch.setattr(augment, "remap", broken)
    with pytest.raises(RuntimeError, match="kornia was called"):
        Augmentation(8).on_rgb(torch.rand(1, 3, 16, 16), random_draws(1))


def test_scales_in_the_wrong_order_are_refused():
    with pytest.raises(IrodoriError, match="crop_scale"):
        Augmentation(8, crop_scale=(0.6, 0.5))


def test_tone_curves_are_their_formula():
    augmentation = Augmentation(8, tone=0.6)
    luminance_B1HW, draws = torch.rand(5, 1, 8, 8), random_draws(5)
    changed_B1HW = augmentation.on_luminance(luminance_B1HW, draws)
    for luminance, draw, changed in zip(
        luminance_B1HW.double().numpy(), draws.double().numpy(), changed_B1HW, strict=True
    ):
        gamma = 2 ** (0.6 * (2 * draw[6] - 1))
        black, white = 0.6 * draw[7] / 4, 1 - 0.6 * draw[8] / 4
        expected = black + (white - black) * luminance**gamma
        np.testing.assert_allclose(changed.numpy(), expected, atol=1e-6)
    assert torch.equal(Augmentation(8).on_luminance(luminance_B1HW, draws), luminance_B1HW)


def test_a_rounding_error_below_black_has_a_tone():
    # As `ColorSpace.encode` allows them.
    luminance_B1HW = torch.full((4, 1, 8, 8), -9e-7)
    changed_B1HW = Augmentation(8, tone=0.6).on_luminance(luminance_B1HW, random_draws(4))
    assert ((changed_B1HW >= 0) & (changed_B1HW < 0.16)).all()
