"""Metrics of colorization; every metric names its protocol."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irodori.metrics.base import PairMetric, SceneMetric, SetDistance
    from irodori.metrics.catalog import MetricInfo
    from irodori.metrics.chrominance import ChrominanceRMSE, chroma_rmse, mean_ab
    from irodori.metrics.pair import Pair
    from irodori.metrics.prior import AbPrior

_MODULES = {
    "AbPrior": "prior",
    "ChrominanceRMSE": "chrominance",
    "MetricInfo": "catalog",
    "Pair": "pair",
    "PairMetric": "base",
    "SceneMetric": "base",
    "SetDistance": "base",
    "chroma_rmse": "chrominance",
    "mean_ab": "chrominance",
}

__all__ = [
    "AbPrior",
    "ChrominanceRMSE",
    "MetricInfo",
    "Pair",
    "PairMetric",
    "SceneMetric",
    "SetDistance",
    "chroma_rmse",
    "mean_ab",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that the catalog can be read without torch.
    if name in _MODULES:
        return getattr(importlib.import_module(f"irodori.metrics.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'irodori.metrics' has no attribute {name!r}")
