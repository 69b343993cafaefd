"""Distances by EfficientNet-Lite0's features, which a package of 17 MB brings; not FID nor KID."""

from functools import cache

from torch import Tensor, nn
from torch.nn import functional

from irodori.color import to_float
from irodori.metrics.catalog import METRICS
from irodori.metrics.feature_distance import FeatureDistance
from irodori.pretrained import imagenet

SIDE = 224
"""Height and width of what the network was trained with."""


class Lite0Distance(FeatureDistance):
    """Fréchet and kernel distance × 1000 of the deepest level's channels, averaged over places."""

    frechet = METRICS["lite0_frechet"]
    kernel = METRICS["lite0_kernel"]
    num_features = 320

    @classmethod
    def missing(cls) -> str | None:
        """Return what to do before these distances can be measured; None if all is there."""
        return imagenet.PACKAGES[imagenet.LITE0].missing()

    @staticmethod
    @cache
    def make_network() -> nn.Module:
        """Return EfficientNet-Lite0: B×3×224×224, less MEAN, over STD → a list of five levels.

        All rows of a table share it.
        """
        return imagenet.lite0_features()

    def features(self, picture_13HW: Tensor) -> Tensor:
        """Return the features of the picture scaled to 224×224: 1×3×H×W uint8 → 1×320."""
        scaled_13HW = functional.interpolate(
            to_float(picture_13HW), size=(SIDE, SIDE), mode="bilinear", antialias=True
        )
        deepest_1FHW: Tensor = self.network((scaled_13HW - imagenet.MEAN) / imagenet.STD)[-1]
        return deepest_1FHW.mean((2, 3))
