"""Chrominance error, independent of lightness."""

from torch import Tensor

from irodori.color import rgb_to_lab, to_float
from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair


def ab_of(rgb_3HW: Tensor) -> Tensor:
    """Convert 8-bit RGB to CIE a*b* (D65): 3×H×W uint8 → 2×H×W fp32 in native units."""
    return rgb_to_lab(to_float(rgb_3HW)[None])[0, 1:]


def chroma_rmse(predicted_3HW: Tensor, true_3HW: Tensor) -> Tensor:
    """Return the root mean squared a*b* error over pixels and channels, in ab units.

    Both pictures are 8-bit RGB (3×H×W uint8) of the same size.

    Raises:
        ValueError: see `Pair`.
    """
    return rmse(Pair(predicted_3HW, true_3HW))


def rmse(pair: Pair) -> Tensor:
    """Return `chroma_rmse` of a pair."""
    return pair.ab_error.double().square().mean().sqrt()


def mean_ab(rgb_3HW: Tensor) -> Tensor:
    """Return the mean a* and b* (fp32) of an 8-bit RGB picture (3×H×W uint8)."""
    return ab_of(rgb_3HW).mean((1, 2))


class ChrominanceRMSE(PairMetric):
    """The mean over photographs of `chroma_rmse`."""

    info = METRICS["chroma_rmse"]

    def measure(self, pair: Pair) -> Tensor:
        """Return the error in ab units."""
        return rmse(pair)
