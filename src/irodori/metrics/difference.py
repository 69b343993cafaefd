"""Metrics of the CIEDE2000 color difference: mean and 95th percentile."""

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
        return pair.difference.double().quantile(0.95)
