"""The result of a comparison of runs: estimates, differences and warnings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import neg, pos
from typing import Any

import pandas as pd

from irodori.evaluation.comparison.runs import REFERENCES, TRUE, LeftOut
from irodori.evaluation.comparison.variants import Variant
from irodori.metrics.catalog import MetricInfo


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; the interval of a metric of the whole set is NaN."""

    mean: float
    low: float
    high: float
    photographs: int


@dataclass(frozen=True)
class Difference:
    """The difference between the means of two sides on the same photographs."""

    difference: float
    """First less second; for metrics that are best near zero, of their distances from it."""
    low: float
    high: float
    p: float
    p_corrected: float
    photographs: int
    verdict: str
    """The verdict on the first side, see `statistics.verdict`."""


@dataclass(frozen=True)
class Comparison:
    """A comparison's results: all that a report needs."""

    row: str
    """last or best."""
    main: MetricInfo
    """The metric that the answer is about."""
    variants: tuple[Variant, ...]
    keys: tuple[str, ...]
    """The keys of the photographs that all variants have measured."""
    metrics: tuple[MetricInfo, ...]
    estimates: Mapping[tuple[str, str], Estimate]
    """Estimates by name of the variant or reference, and of the metric."""
    differences: Mapping[tuple[str, str, str], Difference]
    """Differences by the two sides, at least one of them a variant, and the metric."""
    protocol: Mapping[str, Any]
    shards: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    """Warnings for the reader."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variants."""
        return tuple(variant.name for variant in self.variants)

    @property
    def rows(self) -> tuple[str, ...]:
        """The names of the variants and the references."""
        return (*self.names, *REFERENCES.values())

    def verdict(self, name: str, other: str, metric: str) -> str | None:
        """Return what their difference says of the first of two sides; None if it isn't known."""
        found = self.differences.get((name, other, metric))
        return None if found is None else found.verdict

    def best(self, metric: MetricInfo) -> str | None:
        """Return the variant with the best mean; None if there is no best, or nobody has it."""
        known = [name for name in self.names if (name, metric.name) in self.estimates]
        if not known or metric.better == "neither":
            return None
        worse = {"higher": neg, "lower": pos, "near zero": abs}[metric.better]
        return min(known, key=lambda name: worse(self.estimates[name, metric.name].mean))

    def stands_out(self, name: str, metric: MetricInfo) -> bool:
        """Say whether a variant is better than all others, and than the references that have it."""
        verdicts = [self.verdict(name, other, metric.name) for other in self.rows if other != name]
        others, references = verdicts[: len(self.names) - 1], verdicts[len(self.names) - 1 :]
        return bool(others) and {*others} == {"better"} and {*references} <= {"better", None}

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return `estimates` and `differences`, not rounded, as CSV files and W&B have them."""
        seeds = {variant.name: variant.seeds for variant in self.variants}
        estimates = pd.DataFrame(
            {"variant": name, "metric": metric.name, **asdict(there), "seeds": seeds.get(name)}
            for name in (*self.rows, TRUE)
            for metric in self.metrics
            if (there := self.estimates.get((name, metric.name))) is not None
        )
        differences = pd.DataFrame(
            {"variant": name, "other": other, "metric": metric, **asdict(difference)}
            for (name, other, metric), difference in self.differences.items()
            if self.rows.index(name) < self.rows.index(other)
        )
        return {
            "estimates": estimates.astype({"seeds": "Int64"}),
            "differences": differences.drop(columns="photographs", errors="ignore"),
        }
