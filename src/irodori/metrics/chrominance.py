"""Chrominance error: how far the colours are off, whatever the lightness."""

from torch import Tensor

from irodori.color import rgb_to_lab, to_float
from irodori.metrics.pair import Pair
from irodori.metrics.photograph import PairMetric


def ab_of(rgb_3HW: Tensor) -> Tensor:
    """CIE a*b* (D65) of an 8-bit RGB picture: 3×H×W uint8 → 2×H×W fp32 in native units."""
    return rgb_to_lab(to_float(rgb_3HW)[None])[0, 1:]


def chroma_rmse(predicted_3HW: Tensor, true_3HW: Tensor) -> Tensor:
    """Root of the mean over pixels and the two channels of the squared ab error, in ab units.

    Both pictures are 8-bit RGB (3×H×W uint8) of the same size.

    Raises:
        ValueError: see `Pair`.
    """
    return rmse(Pair(predicted_3HW, true_3HW))


def rmse(pair: Pair) -> Tensor:
    """`chroma_rmse` of a pair."""
    return pair.ab_error.double().square().mean().sqrt()


def mean_ab(rgb_3HW: Tensor) -> Tensor:
    """Mean a* and b* over the pixels of an 8-bit RGB picture: 2 values, fp32."""
    return ab_of(rgb_3HW).mean((1, 2))


class ChrominanceRMSE(PairMetric):
    """Mean over photographs of `chroma_rmse`."""

    name = "chroma_rmse"
    higher_is_better = False

    def measure(self, pair: Pair) -> Tensor:
        """In ab units."""
        return rmse(pair)
