"""Each metric of a photograph against scikit-image, NumPy or torchmetrics in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import AWKWARD, lab, picture, pixels, smooth
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from irodori.metrics.auc import RawAuC
from irodori.metrics.chrominance import ChrominanceRMSE
from irodori.metrics.colorfulness import (
    Colorfulness,
    ColorfulnessAbs,
    ColorfulnessAbsDifference,
    ColorfulnessDifference,
)
from irodori.metrics.difference import CIEDE2000, CIEDE2000P95
from irodori.metrics.fidelity import PSNR, SSIM
from irodori.metrics.pair import Pair


def rmse(predicted, true):
    return np.sqrt(np.mean((lab(predicted) - lab(true))[..., 1:] ** 2))


def mean_difference(predicted, true):
    return deltaE_ciede2000(lab(predicted), lab(true)).mean()


def worst_difference(predicted, true):
    return np.percentile(deltaE_ciede2000(lab(predicted), lab(true)), 95)


def psnr(predicted, true):
    if torch.equal(predicted, true):
        return 10 * math.log10(255**2 * true.numel())
    return peak_signal_noise_ratio(pixels(true), pixels(predicted), data_range=255)


def ssim(predicted, true):
    if min(true.shape[1:]) < 11:
        return None
    return structural_similarity(
        pixels(true),
        pixels(predicted),
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def auc(predicted, true):
    """Zhang's curve, in 151 passes; scikit-image's ab in fp32, where steps are met exactly."""
    distance = np.linalg.norm((lab(predicted) - lab(true))[..., 1:], axis=-1)
    shares = [(distance <= t).mean() for t in range(151)]
    return 100 * np.trapezoid(shares) / 150


def colorfulness(predicted, absolute):
    red, green, blue = np.moveaxis(pixels(predicted), -1, 0)
    rg, yb = red - green, 0.5 * (red + green) - blue
    if absolute:
        rg, yb = np.abs(rg), np.abs(yb)
    return np.sqrt(rg.std() ** 2 + yb.std() ** 2) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)


REFERENCES = {
    ChrominanceRMSE: rmse,
    CIEDE2000: mean_difference,
    CIEDE2000P95: worst_difference,
    PSNR: psnr,
    SSIM: ssim,
    RawAuC: auc,
    Colorfulness: lambda predicted, true: colorfulness(predicted, False),
    ColorfulnessAbs: lambda predicted, true: colorfulness(predicted, True),
    ColorfulnessDifference: lambda predicted, true: (
        colorfulness(predicted, False) - colorfulness(true, False)
    ),
    ColorfulnessAbsDifference: lambda predicted, true: (
        colorfulness(predicted, True) - colorfulness(true, True)
    ),
}
METRICS = pytest.mark.parametrize("metric", REFERENCES, ids=lambda metric: metric.info.name)


def agrees(metric, pair, case):
    """To a thousandth (SSIM, PSNR and colorfulness far closer: they work in float64)."""
    value = metric(2).measure(pair)
    expected = REFERENCES[metric](pair.predicted_3HW, pair.true_3HW)
    if expected is None:
        assert value is None, case
        return
    closely = metric in (PSNR, SSIM) or issubclass(metric, Colorfulness)
    rel, absolute = (1e-9, 1e-9) if closely else (1e-3, 2e-4)
    assert value.shape == (), case
    assert value.item() == pytest.approx(expected, rel=rel, abs=absolute), case


@METRICS
@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_pictures(metric, case):
    agrees(metric, AWKWARD[case], case)


@METRICS
@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 25), st.booleans())
def test_any_pictures(metric, seed, height, width, noisy):
    make = picture if noisy else smooth
    agrees(metric, Pair(make(seed, height, width), make(seed + 1, height, width)), seed)


def test_ssim_needs_a_whole_window():
    assert SSIM(1).measure(Pair(picture(0, 10, 40), picture(1, 10, 40))) is None
    assert SSIM(1).measure(Pair(picture(0, 40, 10), picture(1, 40, 10))) is None
    metric = SSIM(1)
    metric.update(picture(0, 10, 40), picture(1, 10, 40), 0)
    assert metric.counts.sum() == 0
    metric.update(smooth(0), smooth(0), 0)
    assert metric.compute() == 1
