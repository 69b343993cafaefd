"""Which class measures which figure, in the order of tables."""

from irodori.metrics.accuracy import Accuracy, AccuracyTop5
from irodori.metrics.auc import BalancedAuC, RawAuC
from irodori.metrics.chrominance import ChrominanceRMSE
from irodori.metrics.colorfulness import (
    Colorfulness,
    ColorfulnessAbs,
    ColorfulnessAbsDifference,
    ColorfulnessDifference,
)
from irodori.metrics.difference import CIEDE2000, CIEDE2000P95
from irodori.metrics.fidelity import PSNR, SSIM
from irodori.metrics.inception import InceptionDistance
from irodori.metrics.lite0 import Lite0Distance
from irodori.metrics.perceptual import LPIPS, LPIPSAlex, LPIPSVgg
from irodori.metrics.photograph import PairMetric
from irodori.metrics.prior import AbPrior
from irodori.metrics.set_distance import SetDistance

PAIR_METRICS: dict[str, type[PairMetric]] = {
    metric.name: metric
    for metric in (
        ChrominanceRMSE,
        CIEDE2000,
        CIEDE2000P95,
        PSNR,
        SSIM,
        RawAuC,
        BalancedAuC,
        Colorfulness,
        ColorfulnessAbs,
        ColorfulnessDifference,
        ColorfulnessAbsDifference,
        LPIPSAlex,
        LPIPSVgg,
    )
}
"""Measured of a `Pair`."""

SCENE_METRICS: dict[str, type[Accuracy]] = {
    metric.name: metric for metric in (Accuracy, AccuracyTop5)
}
"""Measured of logits and the scene's label."""

SET_DISTANCES: tuple[type[SetDistance], ...] = (InceptionDistance, Lite0Distance)
"""Measured of the set as a whole, two figures each."""


def pair_metrics(num_classes: int, prior: AbPrior, perceptual: bool = True) -> list[PairMetric]:
    """Every figure of a pair that can be measured here, but those that `left_out` names.

    Args:
        num_classes: number of scenes.
        prior: for the class-balanced figure.
        perceptual: False leaves LPIPS out, which takes longer than all others.

    Raises:
        IrodoriError: a file of weights is there, but damaged.
    """
    metrics: list[PairMetric] = []
    missing = left_out()
    for name, metric in PAIR_METRICS.items():
        if name in missing or (issubclass(metric, LPIPS) and not perceptual):
            continue
        if issubclass(metric, BalancedAuC):
            metrics.append(metric(num_classes, prior))
        else:
            metrics.append(metric(num_classes))
    return metrics


def set_distances() -> list[SetDistance]:
    """Every distance of sets that can be measured here.

    Raises:
        IrodoriError: a file of weights is there, but damaged.
    """
    return [distance() for distance in SET_DISTANCES if not distance.missing()]


def left_out() -> dict[str, str]:
    """For each figure that can't be measured here, what to do so that it can."""
    steps = {
        "lpips_alex": LPIPSAlex.weights.missing(),
        "lpips_vgg": LPIPSVgg.weights.missing(),
    }
    for distance in SET_DISTANCES:
        steps |= dict.fromkeys((distance.frechet, distance.kernel), distance.missing())
    return {name: step for name, step in steps.items() if step}
