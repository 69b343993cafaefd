"""Metrics of colorization; every figure names its protocol."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irodori.metrics.chrominance import ChrominanceRMSE, chroma_rmse, mean_ab
    from irodori.metrics.pair import Pair
    from irodori.metrics.prior import AbPrior

_PLACES = {
    "AbPrior": "prior",
    "ChrominanceRMSE": "chrominance",
    "Pair": "pair",
    "chroma_rmse": "chrominance",
    "mean_ab": "chrominance",
}

__all__ = ["AbPrior", "ChrominanceRMSE", "Pair", "chroma_rmse", "mean_ab"]


def __getattr__(name: str) -> Any:
    # Lazy, so that the catalog can be read without torch.
    if name in _PLACES:
        return getattr(importlib.import_module(f"irodori.metrics.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'irodori.metrics' has no attribute {name!r}")
