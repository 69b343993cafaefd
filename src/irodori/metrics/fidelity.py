"""PSNR and SSIM of 8-bit RGB; both are optimistic, since colorization keeps the lightness."""

import torch
from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair

WINDOW = 11
"""Width of SSIM's window in pixels."""


class PSNR(PairMetric):
    """The peak signal-to-noise ratio, peak 255."""

    info = METRICS["psnr"]

    def measure(self, pair: Pair) -> Tensor:
        """Return dB; for equal pictures as if one of the 3·H·W values were off by one level."""
        error = (pair.predicted_3HW.long() - pair.true_3HW).square().sum().clamp(min=1)
        return 10 * (255**2 * pair.true_3HW.numel() / error.double()).log10()


class SSIM(PairMetric):
    """The structural similarity, averaged over channels and positions where the window fits.

    Z. Wang and others: *Image quality assessment: from error visibility to structural similarity*,
    2004, with K₁ = 0.01 and K₂ = 0.03, as in scikit-image; torchmetrics pads the picture instead.
    """

    info = METRICS["ssim"]

    def measure(self, pair: Pair) -> Tensor | None:
        """Return SSIM, −1 to 1; None for pictures below 11×11 pixels."""
        if min(pair.true_3HW.shape[1:]) < WINDOW:
            return None
        # float64, since E[x²] − E[x]² of 8-bit levels loses half the digits of fp32.
        predicted, true = pair.predicted_3HW.double(), pair.true_3HW.double()
        mean_1, mean_2 = windowed(predicted), windowed(true)
        variance_1 = windowed(predicted.square()) - mean_1.square()
        variance_2 = windowed(true.square()) - mean_2.square()
        covariance = windowed(predicted * true) - mean_1 * mean_2
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        similarity = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
        similarity *= (2 * covariance + c2) / (variance_1 + variance_2 + c2)
        return similarity.mean()


def windowed(picture_CHW: Tensor) -> Tensor:
    """Return local means with an 11×11 Gaussian window (σ = 1.5): C×H×W → C×(H−10)×(W−10).

    Computed from shifted pictures, since convolutions on GPUs may use TF32 with 10 bits.
    """
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / 1.5) ** 2)
    for dim in (1, 2):
        size = picture_CHW.shape[dim] - WINDOW + 1
        first, *others = (weights / weights.sum()).tolist()
        mean_CHW = picture_CHW.narrow(dim, 0, size) * first
        for start, weight in enumerate(others, 1):
            mean_CHW.add_(picture_CHW.narrow(dim, start, size), alpha=weight)
        picture_CHW = mean_CHW
    return picture_CHW
