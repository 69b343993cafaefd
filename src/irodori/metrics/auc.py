"""AuC: the area under the curve of how many pixels are right within a distance.

R. Zhang, P. Isola, A. A. Efros: *Colorful Image Colorization*, 2016.
"""

import torch
from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair
from irodori.metrics.prior import AbPrior

FARTHEST = 150
"""The largest distance looked at, in ab units."""


def pixel_scores(pair: Pair) -> Tensor:
    """Return each pixel's own area under the curve, whose mean over pixels is the AuC.

    A pixel is right from t = ⌈distance⌉ on. By the trapezoid rule over t = 0…150 its area is
    150.5 − ⌈distance⌉ steps: half a step belongs to the rise before it, which there is none of
    where the distance is 0.

    Returns:
        percent, 0…100, float64, H×W.
    """
    first = pair.ab_error.norm(dim=0).double().ceil()
    area = torch.where(first == 0, FARTHEST, FARTHEST + 0.5 - first)
    return torch.where(first <= FARTHEST, area, 0) * (100 / FARTHEST)


class RawAuC(PairMetric):
    """AuC in which every pixel counts the same."""

    info = METRICS["auc"]

    def measure(self, pair: Pair) -> Tensor:
        """Return percent, 0…100."""
        return pixel_scores(pair).mean()


class BalancedAuC(PairMetric):
    """AuC in which each pixel is weighted by how rare its true color is.

    Overall it is the weighted mean over all pixels of all photographs, where each photograph
    counts the same: Σ mean(weight · score) / Σ mean(weight).

    Args:
        num_classes: see `PhotographMetric`.
        prior: how frequent colors are.
    """

    info = METRICS["auc_balanced"]
    weighted = True

    def __init__(self, num_classes: int, prior: AbPrior) -> None:
        super().__init__(num_classes)
        self.prior = prior

    def measure(self, pair: Pair) -> Tensor:
        """Return the percentage of the photograph alone, and its mean weight."""
        weights_HW = self.prior.weights(pair.true_lab[1:])
        mean = weights_HW.mean()
        return torch.stack([(weights_HW * pixel_scores(pair)).mean() / mean, mean])
