"""The result of a comparison of runs: estimates, differences and warnings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import neg, pos
from typing import Any

import pandas as pd

from irodori.evaluation.comparison.runs import REFERENCES, LeftOut
from irodori.evaluation.comparison.variants import Variant
from irodori.metrics.catalog import MetricInfo


@dataclass(frozen=True)
class Comparison:
    """Results of a comparison, sufficient for a report."""

    row: str
    """The compared checkpoints, "last" or "best"."""
    main: MetricInfo
    """The main metric."""
    variants: tuple[Variant, ...]
    keys: tuple[str, ...]
    """The keys of the photographs that all variants measured."""
    metrics: tuple[MetricInfo, ...]
    estimates: pd.DataFrame
    """Means by `variant` (or reference) and `metric`: `mean`, limits of its interval `low` and
    `high` (NaN for set metrics), number of `photographs`, and number of `seeds` of a variant."""
    differences: pd.DataFrame
    """Differences by `variant`, `other` (one of them may be a reference) and `metric`: `difference`
    of the means on the same photographs, first minus second (for metrics that are best near zero,
    of distances from zero), limits of its interval `low` and `high`, `p`, `p_corrected`, and the
    `verdict` on the first side, see `statistics.verdict`."""
    scenes: pd.DataFrame
    """Means of the main metric by `scene` and `variant` (or reference): number of `photographs`,
    `mean`, and limits of its interval `low` and `high`; empty with fewer than two scenes."""
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

    def means(self, metric: MetricInfo) -> pd.DataFrame:
        """Return the estimates of a metric, indexed by variant or reference."""
        of_metric = self.estimates.index.get_level_values("metric") == metric.name
        return self.estimates[of_metric].droplevel("metric")

    def verdict(self, name: str, other: str, metric: str) -> str | None:
        """Return the verdict on the first of two sides; None if unknown."""
        verdict: str | None = self.differences["verdict"].get((name, other, metric))
        return verdict

    def best(self, metric: MetricInfo) -> str | None:
        """Return the variant with the best mean; None if the metric has no direction or value."""
        means = self.means(metric)["mean"]
        known = [name for name in self.names if name in means]
        if not known or metric.better == "neither":
            return None
        badness: Mapping[str, Callable[[float], float]]
        badness = {"higher": neg, "lower": pos, "near zero": abs}
        return min(known, key=lambda name: badness[metric.better](means[name]))

    def stands_out(self, name: str, metric: MetricInfo) -> bool:
        """Return whether a variant is better than all others and all references with the metric."""
        verdicts = [self.verdict(name, other, metric.name) for other in self.rows if other != name]
        others, references = verdicts[: len(self.names) - 1], verdicts[len(self.names) - 1 :]
        return bool(others) and {*others} == {"better"} and {*references} <= {"better", None}

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return `estimates`, `differences` (each pair once) and `scenes` for CSV and W&B."""
        differences = self.differences.reset_index()
        place = {name: number for number, name in enumerate(self.rows)}
        once = differences["variant"].map(place) < differences["other"].map(place)
        tables = {"estimates": self.estimates.reset_index(), "differences": differences[once]}
        return tables if self.scenes.empty else {**tables, "scenes": self.scenes.reset_index()}
