"""AuC: area under the curve of the share of pixels within an error threshold.

R. Zhang, P. Isola, A. A. Efros: *Colorful Image Colorization*, 2016.
"""

import torch
from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair
from irodori.metrics.prior import AbPrior

FARTHEST = 150
"""Largest threshold in ab units."""


def pixel_scores(pair: Pair) -> Tensor:
    """Return the area under the curve for each pixel; its mean over pixels is the AuC.

    A pixel is correct for thresholds t ≥ ⌈distance⌉. By the trapezoidal rule over t = 0…150, its
    area is 150.5 − ⌈distance⌉ steps, including half a step for the rise, or 150 for distance 0.

    Returns:
        Percent, 0…100, H×W float64.
    """
    first = pair.ab_error.norm(dim=0).double().ceil()
    area = torch.where(first == 0, FARTHEST, FARTHEST + 0.5 - first)
    return torch.where(first <= FARTHEST, area, 0) * (100 / FARTHEST)


class RawAuC(PairMetric):
    """AuC with equal weights of pixels."""

    info = METRICS["auc"]

    def measure(self, pair: Pair) -> Tensor:
        """Return percent, 0…100."""
        return pixel_scores(pair).mean()


class BalancedAuC(PairMetric):
    """AuC with pixels weighted by the rarity of their true colors.

    Over several photographs it is Σ mean(weight · score) / Σ mean(weight), with means over the
    pixels of each photograph.

    Args:
        num_classes: see `PhotographMetric`.
        prior: frequencies of colors.
    """

    info = METRICS["auc_balanced"]
    weighted = True

    def __init__(self, num_classes: int, prior: AbPrior) -> None:
        super().__init__(num_classes)
        self.prior = prior

    def measure(self, pair: Pair) -> Tensor:
        """Return the photograph's percentage and its mean weight."""
        weights_HW = self.prior.weights(pair.true_lab[1:])
        mean = weights_HW.mean()
        return torch.stack([(weights_HW * pixel_scores(pair)).mean() / mean, mean])
