"""Colorfulness after Hasler and Süsstrunk, in both variants found in the literature."""

from typing import ClassVar

from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair


def colorfulness(rgb_3HW: Tensor, absolute: bool = False) -> Tensor:
    """Return √(σ²rg + σ²yb) + 0.3 √(μ²rg + μ²yb), with rg = R−G and yb = (R+G)/2 − B on 0…255.

    D. Hasler, S. Süsstrunk: *Measuring colourfulness in natural images*, 2003. Variances are
    divided by the number of pixels.

    Args:
        rgb_3HW: 8-bit RGB, 3×H×W uint8.
        absolute: use |rg| and |yb|, as in the code of DDColor and CT2.

    Returns:
        A float64 scalar; 0 for gray pictures.
    """
    red, green, blue = rgb_3HW.double().unbind()
    opponents = red - green, (red + green) / 2 - blue
    if absolute:
        opponents = opponents[0].abs(), opponents[1].abs()
    rg, yb = opponents
    spread = rg.std(correction=0).hypot(yb.std(correction=0))
    return spread + 0.3 * rg.mean().hypot(yb.mean())


class Colorfulness(PairMetric):
    """The colorfulness of the prediction."""

    info = METRICS["colorfulness"]
    absolute: ClassVar[bool] = False
    less_true: ClassVar[bool] = False
    """Whether the colorfulness of the true photograph is subtracted."""

    def measure(self, pair: Pair) -> Tensor:
        """Return the colorfulness, or the difference (negative if the prediction is duller)."""
        value = colorfulness(pair.predicted_3HW, self.absolute)
        return value - colorfulness(pair.true_3HW, self.absolute) if self.less_true else value


class ColorfulnessAbs(Colorfulness):
    """The colorfulness of the prediction, from |rg| and |yb|."""

    info = METRICS["colorfulness_abs"]
    absolute = True


class ColorfulnessDifference(Colorfulness):
    """The colorfulness of the prediction minus that of the true photograph."""

    info = METRICS["colorfulness_difference"]
    less_true = True


class ColorfulnessAbsDifference(ColorfulnessDifference):
    """`ColorfulnessDifference` from |rg| and |yb|."""

    info = METRICS["colorfulness_abs_difference"]
    absolute = True
