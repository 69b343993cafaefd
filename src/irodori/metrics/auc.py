"""AuC: the area under the curve of how many pixels are right within a distance.

R. Zhang, P. Isola, A. A. Efros: *Colorful Image Colorization*, 2016.
"""

from typing import Any

import torch
from torch import Tensor

from irodori.metrics.pair import Pair
from irodori.metrics.photograph import PairMetric
from irodori.metrics.prior import AbPrior

FARTHEST = 150
"""The largest distance looked at, in ab units."""


def pixel_scores(distance: Tensor) -> Tensor:
    """Each pixel's own area under the curve, so that the mean over pixels is the AuC.

    A pixel is right from t = ⌈distance⌉ on. By the trapezoid rule over t = 0…150 its area is
    150.5 − ⌈distance⌉ steps: half a step belongs to the rise before it, which there is none of
    where the distance is 0.

    Args:
        distance: ab units, 0 or more, of any shape.

    Returns:
        percent, 0…100, float64, of the same shape.
    """
    first = distance.double().ceil()
    area = torch.where(first == 0, FARTHEST, FARTHEST + 0.5 - first)
    return torch.where(first <= FARTHEST, area, 0) * (100 / FARTHEST)


def scores_of(pair: Pair) -> Tensor:
    """`pixel_scores` of a pair, H×W."""
    return pixel_scores(pair.ab_error.norm(dim=0))


class RawAuC(PairMetric):
    """Every pixel counts the same."""

    name = "auc"
    higher_is_better = True

    def measure(self, pair: Pair) -> Tensor:
        """Percent, 0…100."""
        return scores_of(pair).mean()


class BalancedAuC(PairMetric):
    """Each pixel weighted by how rare its true colour is.

    Overall it is the weighted mean over all pixels of all photographs, where each photograph
    counts the same: Σ mean(weight · score) / Σ mean(weight).

    Args:
        num_classes: see `PhotographMetric`.
        prior: how frequent colours are.
        kwargs: of torchmetrics.
    """

    name = "auc_balanced"
    higher_is_better = True
    weights: Tensor

    def __init__(self, num_classes: int, prior: AbPrior, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.prior = prior
        self.add_state("weights", torch.zeros_like(self.sums), dist_reduce_fx="sum")

    @property
    def columns(self) -> tuple[str, ...]:
        """The photograph's own figure, and what it weighs in the overall one."""
        return (self.name, f"{self.name}_weight")

    def measure(self, pair: Pair) -> Tensor:
        """Percent of the photograph alone, and its mean weight: two values."""
        weights_HW = self.prior.weights(pair.true_lab[1:])
        mean = weights_HW.mean()
        return torch.stack([(weights_HW * scores_of(pair)).mean() / mean, mean])

    def _sum(self, value: Tensor, label: int) -> None:
        self.sums[label] += value[0] * value[1]
        self.weights[label] += value[1]
        self.counts[label] += 1

    def compute(self) -> Tensor:
        """The weighted mean over all photographs (NaN without any)."""
        return self.sums.sum() / self.weights.sum()

    def per_scene(self) -> tuple[Tensor, Tensor]:
        """Weighted mean per scene (NaN where there is none) and number of photographs per scene.

        Call it inside `sync_context()` when several ranks have photographs.
        """
        return self.sums[:-1] / self.weights[:-1], self.counts[:-1]
