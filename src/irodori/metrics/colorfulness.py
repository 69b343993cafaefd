"""Colorfulness after Hasler and Süsstrunk, in the two ways it is computed in the field."""

from typing import ClassVar

from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair


def colorfulness(rgb_3HW: Tensor, absolute: bool = False) -> Tensor:
    """Return √(σ²rg + σ²yb) + 0.3 √(μ²rg + μ²yb), rg = R−G and yb = (R+G)/2 − B on 0…255.

    D. Hasler, S. Süsstrunk: *Measuring colourfulness in natural images*, 2003. The variances are
    those of all pixels, divided by their number.

    Args:
        rgb_3HW: 8-bit RGB, 3×H×W uint8.
        absolute: take |rg| and |yb|, as the code of DDColor and CT2 does.

    Returns:
        a float64 scalar; 0 for gray pictures.
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
    """Whether the colorfulness of the photograph is subtracted."""

    def measure(self, pair: Pair) -> Tensor:
        """Return 0 or more; a difference is negative where the prediction is duller."""
        value = colorfulness(pair.predicted_3HW, self.absolute)
        return value - colorfulness(pair.true_3HW, self.absolute) if self.less_true else value


class ColorfulnessAbs(Colorfulness):
    """The colorfulness of the prediction, from |rg| and |yb|."""

    info = METRICS["colorfulness_abs"]
    absolute = True


class ColorfulnessDifference(Colorfulness):
    """The colorfulness of the prediction less that of the photograph."""

    info = METRICS["colorfulness_difference"]
    less_true = True


class ColorfulnessAbsDifference(ColorfulnessDifference):
    """The same difference, from |rg| and |yb|."""

    info = METRICS["colorfulness_abs_difference"]
    absolute = True
