"""Alignment of all variants' metrics on their common photographs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from irodori.evaluation.comparison.runs import REFERENCES, TRUE, Run, known_metrics
from irodori.evaluation.comparison.variants import Variant
from irodori.evaluation.statistics import Floats, Stratum
from irodori.metrics.catalog import MAIN, WEIGHT, MetricInfo
from irodori.utils.errors import IrodoriError

SAME_GRAY = 0.05
"""Tolerance in ab units of the gray version's error, which differs between machines."""


@dataclass(frozen=True)
class Aligned:
    """Metrics of the same photographs, for each variant and reference."""

    keys: pd.Index
    """The keys of N photographs, sorted."""
    scenes_N: npt.NDArray[np.str_]
    """The scenes of the photographs; "" if unknown."""
    metrics: tuple[MetricInfo, ...]
    """The metrics, in the catalog's order; the first of the K columns of values."""
    distances: Mapping[str, int]
    """The columns after them, by metric name: distances from 0 of metrics that are best near 0."""
    weights_NK: Floats
    """Weight of each photograph in the mean; 0 if the metric is undefined for some variant."""
    strata: Mapping[str, Sequence[Stratum]]
    """Strata of each variant and reference, by name; NaN for missing metrics."""
    measured: Mapping[str, int]
    """Number of photographs measured by each variant, including those that others lack."""


def align(variants: Sequence[Variant]) -> Aligned:
    """Align the photographs of all variants.

    Raises:
        IrodoriError: there is no common photograph, a key refers to different photographs, or a
            variant measured a photograph in two folds.
    """
    runs = [run for variant in variants for run in variant.runs]
    refuse_different_photographs(runs)
    covered = {variant.name: _covered(variant) for variant in variants}
    keys = _common(covered.values()).sort_values()
    if keys.empty:
        first, *rest = covered
        other = next((n for n in rest if covered[first].intersection(covered[n]).empty), rest[-1])
        raise IrodoriError(
            f"{first} and {other} have no photograph in common: compare runs of the same shards"
        )
    tables = [variant.photographs(run) for variant in variants for run in variant.runs]
    metrics = tuple(
        metric
        for metric in known_metrics(runs).values()
        if metric.per_photograph and any(metric.name in table for table in tables)
    )
    names = [metric.name for metric in metrics]
    near = [k for k, metric in enumerate(metrics) if metric.better == "near zero"]

    def columns(table: pd.DataFrame, index: pd.Index) -> Floats:
        values = table.reindex(index=index, columns=names).to_numpy(np.float64)
        return np.hstack([values, np.abs(values[:, near])])

    strata: dict[str, list[Stratum]] = {variant.name: [] for variant in variants}
    for variant in variants:
        for of_fold in variant.folds().values():
            seeds = [variant.photographs(run) for run in of_fold]
            common = keys.intersection(_common(table.index for table in seeds))
            if not common.empty:
                values_SnK = np.stack([columns(table, common) for table in seeds])
                strata[variant.name].append(Stratum(keys.get_indexer(common), values_SnK))
    photographs = pd.concat(tables).groupby("key").first().reindex(keys)
    # Colorfulness of the true photographs: that of any pictures minus their difference.
    true = {
        name: pd.concat(
            [
                table[name] - table[f"{name}_difference"]
                for table in tables
                if {name, f"{name}_difference"} <= set(table)
            ]
        )
        for name in names
        if f"{name}_difference" in names
    }
    others = {
        TRUE: pd.DataFrame({name: each.groupby("key").first() for name, each in true.items()})
    }
    for row, name in REFERENCES.items():
        same = [run.rows[row] for run in runs if row in run.rows]
        others[name] = (
            pd.concat(same).groupby("key").mean(numeric_only=True) if same else pd.DataFrame()
        )
    for name, table in others.items():
        strata[name] = [Stratum(np.arange(len(keys)), columns(table, keys)[None])]
    ones = pd.Series(1.0, keys)
    weights = [
        photographs.get(name + WEIGHT, ones).fillna(0.0)
        for name in (*names, *(names[k] for k in near))
    ]
    weights_NK = np.stack(weights, axis=1)
    for parts in strata.values():
        for stratum in parts:
            values_nK = stratum.values_SNK.mean(0)
            # A metric that this variant lacks entirely doesn't exclude photographs for the others.
            defined_nK = np.isfinite(values_nK) | ~np.isfinite(values_nK).any(0)
            weights_NK[stratum.photographs] *= defined_nK
    distances = {names[k]: column for column, k in enumerate(near, len(names))}
    measured = {name: len(its_keys) for name, its_keys in covered.items()}
    scenes_N = photographs.get("scene", pd.Series("", keys)).fillna("").to_numpy(np.str_)
    return Aligned(keys, scenes_N, metrics, distances, weights_NK, strata, measured)


def _common(indexes: Iterable[pd.Index]) -> pd.Index:
    return reduce(pd.Index.intersection, indexes)


def _covered(variant: Variant) -> pd.Index:
    """Return the keys that every seed of a fold measured."""
    keys_of = {
        fold: _common(variant.photographs(run).index for run in runs)
        for fold, runs in variant.folds().items()
    }
    for one, other in combinations(keys_of, 2):
        if not (both := keys_of[one].intersection(keys_of[other])).empty:
            raise IrodoriError(
                f"{both[0]} was measured by folds {one} and {other} of {variant.name}: one of"
                " them may have been trained on it; compare runs with the same folds"
            )
    return pd.Index([key for keys in keys_of.values() for key in keys], dtype=str)


def refuse_different_photographs(runs: Iterable[Run]) -> None:
    """Raise IrodoriError if a key refers to photographs of different sizes or colors."""
    tables = []
    for run in runs:
        table = run.rows.get("gray", run.rows[run.row])
        gray = table[MAIN] if "gray" in run.rows and MAIN in table else np.nan
        tables.append(table[["width", "height"]].assign(gray=gray, folder=str(run.folder)))
    found = pd.concat(tables)
    first = found[~found.index.duplicated()].loc[found.index]
    other_size = (found[["width", "height"]] != first[["width", "height"]]).any(axis=1)
    differs = other_size | ((found["gray"] - first["gray"]).abs() > SAME_GRAY)
    if differs.any():
        here, there = first[differs].iloc[0], found[differs].iloc[0]
        problem = f"its gray version is {here.gray:.2f} and {there.gray:.2f} ab units off"
        if other_size[differs].iloc[0]:
            problem = f"{here.width}×{here.height} and {there.width}×{there.height} pixels"
        raise IrodoriError(
            f"{there.name} is another photograph in {here.folder} than in {there.folder}"
            f" ({problem}): compare runs of the same shards"
        )
