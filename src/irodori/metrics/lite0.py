"""Distances of EfficientNet-Lite0 features (a package of 17 MB); neither FID nor KID."""

from functools import cache

from torch import Tensor, nn
from torch.nn import functional

from irodori.color import to_float
from irodori.metrics.catalog import METRICS
from irodori.metrics.feature_distance import FeatureDistance
from irodori.pretrained import imagenet

SIDE = 224
"""Height and width of the network's training images."""


class Lite0Distance(FeatureDistance):
    """Fréchet distance and kernel distance × 1000 of the deepest features, as spatial means."""

    frechet = METRICS["lite0_frechet"]
    kernel = METRICS["lite0_kernel"]
    num_features = 320

    @classmethod
    def missing(cls) -> str | None:
        """Return how to install the weights; None if they are installed."""
        return imagenet.PACKAGES[imagenet.LITE0].missing()

    @staticmethod
    @cache
    def make_network() -> nn.Module:
        """Return EfficientNet-Lite0: normalized B×3×224×224 → a list of five levels.

        It is shared by all rows of a table.
        """
        return imagenet.lite0_features()

    def features(self, picture_13HW: Tensor) -> Tensor:
        """Scale a picture to 224×224 and return its features: 1×3×H×W uint8 → 1×320."""
        scaled_13HW = functional.interpolate(
            to_float(picture_13HW), size=(SIDE, SIDE), mode="bilinear", antialias=True
        )
        deepest_1FHW: Tensor = self.network((scaled_13HW - imagenet.MEAN) / imagenet.STD)[-1]
        return deepest_1FHW.mean((2, 3))
