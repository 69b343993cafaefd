"""Distances between the sets of colorized and true photographs in a network's feature space.

Fréchet distance: M. Heusel and others, *GANs Trained by a Two Time-Scale Update Rule Converge to a
Local Nash Equilibrium*, 2017, as FID. Kernel distance: A. Gretton and others, *A Kernel Two-Sample
Test*, 2012, lemma 6, with the kernel of M. Bińkowski and others, *Demystifying MMD GANs*, 2018.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from irodori.color.precision import full_precision
from irodori.metrics.base import SetDistance
from irodori.metrics.catalog import MetricInfo
from irodori.metrics.pair import Pair

SMALLEST = 4
"""Smallest number of photographs."""
ROWS = 256
"""Rows of an N×N matrix in memory at a time."""


class FeatureDistance(SetDistance):
    """Base class of the Fréchet distance and kernel distance × 1000 of a network's features.

    The reference is the set of true photographs. With fewer photographs than features, the
    covariance can't be estimated and the Fréchet distance is undefined.

    Raises:
        IrodoriError: the network's package or weights are missing, or the weights are damaged.
    """

    slow = True
    frechet: ClassVar[MetricInfo]
    kernel: ClassVar[MetricInfo]
    num_features: ClassVar[int]
    predicted: list[Tensor]
    true: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.frechet_from = self.num_features
        self.network = self.make_network()
        self.add_state("predicted", [], dist_reduce_fx="cat")
        self.add_state("true", [], dist_reduce_fx="cat")
        self.reset()

    @classmethod
    def infos(cls) -> tuple[MetricInfo, ...]:
        """Return the descriptions of both distances."""
        return (cls.frechet, cls.kernel)

    @staticmethod
    @abstractmethod
    def make_network() -> nn.Module:
        """Return the network in evaluation mode.

        Raises:
            IrodoriError: its weights are damaged.
        """

    @abstractmethod
    def features(self, picture_13HW: Tensor) -> Tensor:
        """Return the features of a picture: 1×3×H×W uint8 → 1×`num_features` fp32."""

    def reset(self) -> None:
        """Start from nothing."""
        super().reset()
        # A rank without photographs must contribute an empty tensor of the right width.
        for features in (self.predicted, self.true):
            features.append(torch.zeros(0, self.num_features, device=self.device))

    def update(self, predicted_3HW: Tensor, true_3HW: Tensor) -> None:
        """Accumulate the features of a photograph.

        Raises:
            ValueError: see `Pair`; or a feature is not finite.
        """
        pair = Pair(predicted_3HW, true_3HW)
        for features, picture in ((self.predicted, pair.predicted_3HW), (self.true, pair.true_3HW)):
            with full_precision(picture.device), torch.no_grad():
                features_1F = self.features(picture[None])
            if not torch.isfinite(features_1F).all():
                raise ValueError(f"a feature for {self.kernel.name} is not a finite number")
            features.append(features_1F)

    def compute(self) -> dict[str, float]:
        """Return the distances by name; NaN with too few photographs."""
        # A list, or a tensor after synchronization.
        predicted_NF, true_NF = (
            (torch.cat(features) if isinstance(features, list) else features).double()
            for features in (self.predicted, self.true)
        )
        values = {info.name: float("nan") for info in self.infos()}
        if len(true_NF) >= SMALLEST:
            values[self.kernel.name] = self.by_kernel(predicted_NF, true_NF)
            if len(true_NF) >= self.frechet_from:
                values[self.frechet.name] = frechet_distance(predicted_NF, true_NF)
        return values

    def values(self) -> dict[str, float]:
        """Return the result of `compute`."""
        found: dict[str, float] = self.compute()
        return found

    def by_kernel(self, predicted_NF: Tensor, true_NF: Tensor) -> float:
        """Return the kernel distance × 1000 of two sets of features (N×F, float64), N ≥ 4."""
        return kernel_distance(predicted_NF, true_NF)


def frechet_distance(predicted_NF: Tensor, true_NF: Tensor) -> float:
    """Return |μ₁−μ₂|² + tr(Σ₁ + Σ₂ − 2√(Σ₁Σ₂)) of two sets of features (N×F, N ≥ 2)."""
    metric = FrechetInceptionDistance(IdentityNetwork(true_NF.shape[1]), sync_on_compute=False)
    metric.to(true_NF.device)
    metric.update(true_NF, real=True)
    metric.update(predicted_NF, real=False)
    return float(metric.compute())


def kernel_distance(predicted_NF: Tensor, true_NF: Tensor) -> float:
    """Return 1000 × the unbiased squared maximum mean discrepancy, kernel (x·y / F + 1)³.

    Since both features of a photograph are similar, only pairs of different photographs are used,
    also across the sets: otherwise the distance would be too small, especially for few photographs.
    It is 0 for equal sets, and may be negative for nearly equal ones.

    Args:
        predicted_NF: features of the colorized photographs, float64.
        true_NF: features of the true photographs, in the same order.

    Returns:
        The distance; N must be at least 2.
    """
    count, width = true_NF.shape

    def kernel(products: Tensor) -> Tensor:
        return (products / width + 1) ** 3

    total = true_NF.new_zeros(())
    for predicted_RF, true_RF in zip(predicted_NF.split(ROWS), true_NF.split(ROWS), strict=True):
        total += kernel(predicted_RF @ predicted_NF.T).sum() + kernel(true_RF @ true_NF.T).sum()
        total -= 2 * kernel(predicted_RF @ true_NF.T).sum()
    for one_NF, other_NF, sign in (
        (predicted_NF, predicted_NF, 1),
        (true_NF, true_NF, 1),
        (predicted_NF, true_NF, -2),
    ):
        total -= sign * kernel((one_NF * other_NF).sum(1)).sum()
    return 1000 * total.item() / (count * (count - 1))


class IdentityNetwork(nn.Module):
    """Replaces torchmetrics' network: the input already consists of features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features_NF: Tensor) -> Tensor:
        """Return the features unchanged."""
        return features_NF
