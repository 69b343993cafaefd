"""Metrics of colorization, each with a documented protocol."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irodori.metrics.base import PairMetric as PairMetric
    from irodori.metrics.base import SceneMetric as SceneMetric
    from irodori.metrics.base import SetDistance as SetDistance
    from irodori.metrics.catalog import MetricInfo as MetricInfo
    from irodori.metrics.chrominance import ChrominanceRMSE as ChrominanceRMSE
    from irodori.metrics.chrominance import chroma_rmse as chroma_rmse
    from irodori.metrics.chrominance import mean_ab as mean_ab
    from irodori.metrics.pair import Pair as Pair
    from irodori.metrics.prior import AbPrior as AbPrior

_MODULES = {
    "base": ("PairMetric", "SceneMetric", "SetDistance"),
    "catalog": ("MetricInfo",),
    "chrominance": ("ChrominanceRMSE", "chroma_rmse", "mean_ab"),
    "pair": ("Pair",),
    "prior": ("AbPrior",),
}


def __getattr__(name: str) -> Any:
    # Lazy, so that the catalog can be read without torch.
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"irodori.metrics.{module}"), name)
    raise AttributeError(f"module 'irodori.metrics' has no attribute {name!r}")
