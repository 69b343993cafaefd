"""LPIPS 0.1, a perceptual distance on deep features.

R. Zhang and others: *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, 2018.
"""

from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from irodori.color import to_float
from irodori.color.precision import full_precision
from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.pair import Pair
from irodori.metrics.weight_files import ALEXNET, VGG16, WeightFile


class LPIPS(PairMetric):
    """Base class of LPIPS with different networks.

    Args:
        num_classes: see `PhotographMetric`.

    Raises:
        IrodoriError: the network's weights are missing or damaged.
    """

    slow = True
    net: ClassVar[Literal["alex", "vgg"]]
    weight_file: ClassVar[WeightFile]
    smallest: ClassVar[int]
    """Smallest height and width that the network accepts."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.distance = _distance(self.net, self.weight_file, self.weight_file.path)

    @classmethod
    def missing(cls) -> str | None:
        """Return where to put the weights; None if they are installed."""
        return cls.weight_file.missing()

    def measure(self, pair: Pair) -> Tensor | None:
        """Return the distance (≥ 0); None if the photograph is too small for the network."""
        if min(pair.true_3HW.shape[1:]) < self.smallest:
            return None
        predicted_13HW, true_13HW = (
            to_float(picture)[None] for picture in (pair.predicted_3HW, pair.true_3HW)
        )
        with full_precision(true_13HW.device), torch.no_grad():
            value: Tensor = self.distance(predicted_13HW, true_13HW, normalize=True)
        return value.squeeze()


class LPIPSAlex(LPIPS):
    """LPIPS with AlexNet, for photographs of at least 31×31 pixels."""

    info = METRICS["lpips_alex"]
    net = "alex"
    weight_file = ALEXNET
    smallest = 31


class LPIPSVgg(LPIPS):
    """LPIPS with VGG-16, for photographs of at least 16×16 pixels."""

    info = METRICS["lpips_vgg"]
    net = "vgg"
    weight_file = VGG16
    smallest = 16


@cache
def _distance(net: Literal["alex", "vgg"], weights: WeightFile, path: Path) -> nn.Module:
    """Return the network, shared by all rows of a table: pictures in 0…1 → 1×1×1×1.

    Raises:
        IrodoriError: the weights at `path` are damaged.
    """
    # Its layers are randomly initialized before the weights are loaded.
    with torch.random.fork_rng(devices=[]):
        try:
            return LearnedPerceptualImagePatchSimilarity(net_type=net).net
        except Exception as error:  # unpickling raises many exceptions
            raise weights.damaged() from error
