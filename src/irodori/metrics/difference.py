"""The color difference CIEDE2000: its mean over a photograph, and where it is worst."""

import math

from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair


class CIEDE2000(PairMetric):
    """The mean ΔE₀₀ over pixels."""

    info = METRICS["ciede2000"]

    def measure(self, pair: Pair) -> Tensor:
        """Return ΔE₀₀."""
        return pair.difference.double().mean()


class CIEDE2000P95(PairMetric):
    """The 95th percentile over pixels of ΔE₀₀."""

    info = METRICS["ciede2000_p95"]

    def measure(self, pair: Pair) -> Tensor:
        """Return ΔE₀₀."""
        return percentile(pair.difference.double(), 95)


def percentile(values: Tensor, percent: float) -> Tensor:
    """Return the percentile of all values, linear between neighbors as NumPy's default.

    `torch.quantile` refuses more than 2²⁴ values: a photograph of 16 megapixels.

    Args:
        values: at least one, of floating point and any shape.
        percent: 0…100.
    """
    place = percent / 100 * (values.numel() - 1)
    below = math.floor(place)
    largest = values.flatten().topk(values.numel() - below).values
    lower, upper = largest[-1], largest[max(largest.numel() - 2, 0)]
    return lower + (upper - lower) * (place - below)
