"""LPIPS 0.1: how far apart two pictures are for a network that knows objects.

R. Zhang and others: *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, 2018.
"""

from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from irodori.color import to_float
from irodori.color.precision import full_precision
from irodori.errors import IrodoriError
from irodori.metrics.pair import Pair
from irodori.metrics.photograph import PairMetric
from irodori.metrics.weight_files import ALEXNET, VGG16, WeightFile


class LPIPS(PairMetric):
    """Base of the figure by either network.

    Args:
        num_classes: see `PhotographMetric`.
        kwargs: of torchmetrics.

    Raises:
        IrodoriError: the network's weights are missing or damaged.
    """

    higher_is_better = False
    net: ClassVar[Literal["alex", "vgg"]]
    weights: ClassVar[WeightFile]
    smallest: ClassVar[int]
    """Height and width below which a layer of the network has no place left."""

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        if step := self.weights.missing():
            raise IrodoriError(f"{self.name} needs weights: {step}")
        self.distance = _distance(self.net, self.weights, self.weights.path)

    def measure(self, pair: Pair) -> Tensor | None:
        """From 0 up; None if the photograph is too small for the network."""
        if min(pair.true_3HW.shape[1:]) < self.smallest:
            return None
        predicted_13HW, true_13HW = (
            to_float(picture)[None] for picture in (pair.predicted_3HW, pair.true_3HW)
        )
        with full_precision(true_13HW.device), torch.no_grad():
            value: Tensor = self.distance(predicted_13HW, true_13HW, normalize=True)
        return value.squeeze()


class LPIPSAlex(LPIPS):
    """With AlexNet, of photographs of at least 31×31 pixels."""

    name = "lpips_alex"
    net = "alex"
    weights = ALEXNET
    smallest = 31


class LPIPSVgg(LPIPS):
    """With VGG-16, of photographs of at least 16×16 pixels."""

    name = "lpips_vgg"
    net = "vgg"
    weights = VGG16
    smallest = 16


@cache
def _distance(net: Literal["alex", "vgg"], weights: WeightFile, path: Path) -> nn.Module:
    """The network, which all rows of a table share: pictures in 0…1 → 1×1×1×1.

    Raises:
        IrodoriError: the weights at `path` are damaged.
    """
    # Its layers are initialised before the weights are read.
    with torch.random.fork_rng(devices=[]):
        try:
            return LearnedPerceptualImagePatchSimilarity(net_type=net).net
        except Exception as error:  # of the many that unpickling can raise
            raise weights.damaged() from error
