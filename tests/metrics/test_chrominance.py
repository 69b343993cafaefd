import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from irodori.metrics import ChrominanceRMSE, chroma_rmse, mean_ab


def picture(seed, height=9, width=13):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    return torch.from_numpy(pixels)


def true_ab(rgb_3HW):
    """By scikit-image in float64: H×W×2."""
    return rgb2lab(rgb_3HW.numpy().transpose(1, 2, 0).astype(np.float64) / 255)[..., 1:]


def true_rmse(predicted, true):
    return np.sqrt(np.mean((true_ab(predicted) - true_ab(true)) ** 2))


def plain(color, height=6, width=6):
    return torch.tensor(color, dtype=torch.uint8)[:, None, None].expand(3, height, width)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 20))
def test_rmse_is_that_of_scikit_image(seed, height, width):
    predicted, true = picture(seed, height, width), picture(seed + 1, height, width)
    assert chroma_rmse(predicted, true).item() == pytest.approx(
        true_rmse(predicted, true), rel=1e-4
    )
    np.testing.assert_allclose(mean_ab(true), true_ab(true).mean((0, 1)), atol=2e-3)


def test_lightness_does_not_count_and_gray_scores_the_chroma_of_the_truth():
    dark, bright = plain([20, 20, 20]), plain([230, 230, 230])
    assert chroma_rmse(dark, bright) < 0.02
    true = picture(3)
    expected = np.sqrt(np.mean(true_ab(true) ** 2))
    assert chroma_rmse(plain([90, 90, 90], 9, 13), true).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_saturated_colors_and_single_pixels(size):
    predicted, true = plain([255, 0, 0], *size), plain([0, 0, 255], *size)
    assert chroma_rmse(predicted, true).item() == pytest.approx(
        true_rmse(predicted, true), rel=1e-4
    )
    assert chroma_rmse(true, true) == 0


@pytest.mark.parametrize("other", [(9, 12), (8, 13), (1, 1), (13, 9)])
def test_pictures_of_different_sizes_are_refused(other):
    with pytest.raises(ValueError, match="against"):
        chroma_rmse(picture(0), picture(0, *other))
    metric = ChrominanceRMSE(2)
    with pytest.raises(ValueError, match="against"):
        metric.update(picture(0), picture(0, *other), 0)


def test_the_mean_is_over_photographs_in_all_and_per_scene():
    metric = ChrominanceRMSE(3)
    # Of different sizes, so that a mean over pixels would be another one.
    pairs = [
        (picture(n, 3 + n, 4), picture(50 + n, 3 + n, 4), label)
        for n, label in enumerate([2, 0, 2, -1, 2])
    ]
    for pair in pairs:
        metric.update(*pair)
    errors = np.array([true_rmse(predicted, true) for predicted, true, _ in pairs])
    assert metric.compute().item() == pytest.approx(errors.mean(), rel=1e-4)
    means, counts = metric.per_scene()
    assert counts.tolist() == [1, 0, 3]
    assert means[0].item() == pytest.approx(errors[1], rel=1e-4)
    assert math.isnan(means[1])
    assert means[2].item() == pytest.approx(errors[[0, 2, 4]].mean(), rel=1e-4)


def test_the_states_of_two_ranks_add_up():
    whole, one, other = (ChrominanceRMSE(2) for _ in range(3))
    for number in range(7):
        pair = (picture(number), picture(number + 20), number % 3 - 1)
        whole.update(*pair)
        (one if number < 5 else other).update(*pair)
    assert all(reduction is not None for reduction in one._reductions.values())
    for name, reduction in one._reductions.items():
        setattr(one, name, reduction(torch.stack([getattr(one, name), getattr(other, name)])))
    assert one.compute().item() == pytest.approx(whole.compute().item(), rel=1e-12)
    torch.testing.assert_close(one.per_scene(), whole.per_scene())


def test_nothing_seen_is_not_a_number():
    assert math.isnan(ChrominanceRMSE(2).compute())


def test_an_empty_picture_is_refused():
    with pytest.raises(ValueError, match="no pixels"):
        ChrominanceRMSE(2).update(picture(0, 0, 3), picture(0, 0, 3), 0)
