"""Colorfulness after Hasler and Süsstrunk, in the two ways it is computed in the field."""

from typing import ClassVar

from torch import Tensor

from irodori.metrics.pair import Pair
from irodori.metrics.photograph import PairMetric


def colorfulness(rgb_3HW: Tensor, absolute: bool = False) -> Tensor:
    """√(σ²rg + σ²yb) + 0.3 √(μ²rg + μ²yb) with rg = R−G and yb = (R+G)/2 − B on 0…255.

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
    """Of the prediction."""

    name = "colorfulness"
    absolute: ClassVar[bool] = False

    def measure(self, pair: Pair) -> Tensor:
        """From 0 up."""
        return colorfulness(pair.predicted_3HW, self.absolute)


class ColorfulnessAbs(Colorfulness):
    """Of the prediction, from |rg| and |yb|."""

    name = "colorfulness_abs"
    absolute = True


class ColorfulnessDifference(PairMetric):
    """Of the prediction less that of the photograph."""

    name = "colorfulness_difference"
    absolute: ClassVar[bool] = False

    def measure(self, pair: Pair) -> Tensor:
        """Negative where the prediction is duller than the photograph."""
        predicted = colorfulness(pair.predicted_3HW, self.absolute)
        return predicted - colorfulness(pair.true_3HW, self.absolute)


class ColorfulnessAbsDifference(ColorfulnessDifference):
    """Of the prediction less that of the photograph, from |rg| and |yb|."""

    name = "colorfulness_abs_difference"
    absolute = True
