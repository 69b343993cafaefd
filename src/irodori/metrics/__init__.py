"""Metrics of colorization, each with a documented protocol; here is what own metrics need."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irodori.metrics.base import PairMetric as PairMetric
    from irodori.metrics.base import SceneMetric as SceneMetric
    from irodori.metrics.base import SetDistance as SetDistance
    from irodori.metrics.catalog import MetricInfo as MetricInfo
    from irodori.metrics.pair import Pair as Pair

_HOMES = {"MetricInfo": "catalog", "Pair": "pair"}
_HOMES |= dict.fromkeys(("PairMetric", "SceneMetric", "SetDistance"), "base")


def __getattr__(name: str) -> Any:
    # Lazy, so that the catalog can be read without torch.
    if name in _HOMES:
        return getattr(import_module(f"irodori.metrics.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'irodori.metrics' has no attribute {name!r}")
