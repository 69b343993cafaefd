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
from irodori.metrics.perceptual import LPIPS, LPIPSAlex, LPIPSVgg
from irodori.metrics.photograph import PairMetric
from irodori.metrics.prior import AbPrior
from irodori.metrics.weight_files import inception_missing

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


def left_out() -> dict[str, str]:
    """For each figure that can't be measured here, what to do so that it can."""
    steps = {
        "lpips_alex": LPIPSAlex.weights.missing(),
        "lpips_vgg": LPIPSVgg.weights.missing(),
        "fid": inception_missing(),
        "kid": inception_missing(),
    }
    return {name: step for name, step in steps.items() if step}
