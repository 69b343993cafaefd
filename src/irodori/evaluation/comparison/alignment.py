"""The metrics of all variants on the photographs that all of them have measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from irodori.evaluation.comparison.runs import REFERENCES, TRUE, Run, known_metrics
from irodori.evaluation.comparison.variants import Variant
from irodori.evaluation.statistics import Floats, Stratum
from irodori.metrics.catalog import MAIN, WEIGHT, MetricInfo
from irodori.utils.errors import IrodoriError

SAME_GRAY = 0.05
"""ab units by which the error of a photograph's gray version may differ between machines."""


@dataclass(frozen=True)
class Aligned:
    """Metrics of the same photographs, for each variant and reference."""

    keys: pd.Index
    """The keys of N photographs, sorted."""
    metrics: tuple[MetricInfo, ...]
    """K metrics, in the catalog's order."""
    weights_NK: Floats
    """The weight of each photograph in the mean; 0 where the metric isn't defined for everybody."""
    strata: Mapping[str, tuple[Stratum, ...]]
    """Strata of each variant and reference, by name; NaN where it has no such metric."""
    measured: Mapping[str, int]
    """Photographs that a variant has measured, common or not."""


def align(variants: Sequence[Variant]) -> Aligned:
    """Bring the photographs of all variants into one order.

    Raises:
        IrodoriError: they have no photograph in common, keys mean different photographs, or a
            variant has measured a photograph in two folds.
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
    strata = {variant.name: _strata(variant, keys, names) for variant in variants}
    photographs = pd.concat(tables).groupby("key").first().reindex(keys)
    # Their own colorfulness is that of any pictures less the pictures' difference to it.
    others = {
        TRUE: pd.DataFrame(
            {
                name: photographs[name] - photographs[f"{name}_difference"]
                for name in names
                if f"{name}_difference" in photographs
            },
            index=keys,
        )
    }
    for row, name in REFERENCES.items():
        same = [run.rows[row] for run in runs if row in run.rows]
        others[name] = pd.concat(same).groupby("key").mean() if same else pd.DataFrame()
    for name, table in others.items():
        values_NK = table.reindex(index=keys, columns=names).to_numpy(np.float64)
        strata[name] = (Stratum(np.arange(len(keys)), values_NK[None]),)
    ones = pd.Series(1.0, keys)
    weights = [photographs.get(name + WEIGHT, ones).fillna(0.0) for name in names]
    weights_NK = np.stack(weights, axis=1)
    for parts in strata.values():
        for stratum in parts:
            values_nK = stratum.values_SNK.mean(0)
            # A metric that this variant has for no photograph takes none from the others.
            defined_nK = np.isfinite(values_nK) | ~np.isfinite(values_nK).any(0)
            weights_NK[stratum.photographs] *= defined_nK
    return Aligned(keys, metrics, weights_NK, strata, {n: len(k) for n, k in covered.items()})


def _common(indexes: Iterable[pd.Index]) -> pd.Index:
    first, *others = indexes
    for index in others:
        first = first.intersection(index)
    return first


def _covered(variant: Variant) -> pd.Index:
    """Return the keys that every seed of a fold has measured."""
    seen: dict[int | None, pd.Index] = {}
    for fold, runs in variant.folds().items():
        keys = _common(variant.photographs(run).index for run in runs)
        for other, its_keys in seen.items():
            if not (both := keys.intersection(its_keys)).empty:
                raise IrodoriError(
                    f"{both[0]} was measured by folds {other} and {fold} of {variant.name}: one of"
                    " them may have been trained on it; compare runs of one division into folds"
                )
        seen[fold] = keys
    return pd.Index([key for keys in seen.values() for key in keys], dtype=str)


def _strata(variant: Variant, keys: pd.Index, metrics: Sequence[str]) -> tuple[Stratum, ...]:
    strata = []
    for runs in variant.folds().values():
        tables = [variant.photographs(run) for run in runs]
        common = keys.intersection(_common(table.index for table in tables))
        if not common.empty:
            values = [table.reindex(index=common, columns=metrics) for table in tables]
            values_SNK = np.stack([value.to_numpy(np.float64) for value in values])
            strata.append(Stratum(keys.get_indexer(common), values_SNK))
    return tuple(strata)


def refuse_different_photographs(runs: Iterable[Run]) -> None:
    """Raise IrodoriError if a key means photographs of different sizes or colors."""
    known = pd.DataFrame(columns=["width", "height", "gray", "folder"])
    for run in runs:
        table = run.rows.get("gray", run.rows[run.row])
        gray = table[MAIN] if "gray" in run.rows and MAIN in table else np.nan
        own = table[["width", "height"]].assign(gray=gray, folder=run.folder)
        both = own.join(known.add_suffix("_first"), how="inner")
        other_size = (both.width != both.width_first) | (both.height != both.height_first)
        other_gray = (both.gray - both.gray_first).abs() > SAME_GRAY
        for key, there in both[other_size | other_gray].iterrows():
            problem = (
                f"its gray version is {there.gray_first:.2f} and {there.gray:.2f} ab units off"
            )
            if other_size[key]:
                problem = (
                    f"{there.width_first}×{there.height_first} and"
                    f" {there.width}×{there.height} pixels"
                )
            raise IrodoriError(
                f"{key} is another photograph in {there.folder_first} than in {run.folder}"
                f" ({problem}): compare runs of the same shards"
            )
        new = own.loc[own.index.difference(known.index)]
        known = new if known.empty else pd.concat([known, new])
