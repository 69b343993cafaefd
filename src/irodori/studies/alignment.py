"""The figures of all variants on the photographs that all of them have judged."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irodori.metrics.catalog import MAIN, WEIGHT, MetricInfo
from irodori.studies.runs import REFERENCES, Photographs, Run, known_metrics
from irodori.studies.statistics import Floats, Stratum
from irodori.studies.variants import Variant
from irodori.utils.errors import IrodoriError

SAME_GRAY = 0.05
"""ab units by which the error of a photograph's gray version may differ between machines."""


@dataclass(frozen=True)
class Aligned:
    """Figures of the same photographs, those of each variant and of the references."""

    keys: tuple[str, ...]
    """Of N photographs, sorted."""
    figures: tuple[MetricInfo, ...]
    """K, in the catalog's order."""
    weights_NK: Floats
    """Of each photograph in the mean; 0 where somebody's figure isn't defined."""
    strata: Mapping[str, tuple[Stratum, ...]]
    """Of each variant and reference, by its name; NaN where it has no such figure."""
    judged: Mapping[str, int]
    """Photographs that a variant has judged, common or not."""


def align(variants: Sequence[Variant]) -> Aligned:
    """Bring the photographs of all variants into one order.

    Raises:
        IrodoriError: they have no photograph in common, keys mean different photographs, or a
            variant has judged a photograph in two folds.
    """
    runs = [run for variant in variants for run in variant.runs]
    refuse_different_photographs(runs)
    covered = {variant.name: _covered(variant) for variant in variants}
    keys = tuple(sorted(set.intersection(*covered.values())))
    if not keys:
        first, *rest = covered
        other = next((name for name in rest if not covered[first] & covered[name]), rest[-1])
        raise IrodoriError(
            f"{first} and {other} have no photograph in common: compare runs of the same shards"
        )
    every = [variant.photographs(run) for variant in variants for run in variant.runs]
    figures = tuple(
        figure
        for figure in known_metrics(runs).values()
        if figure.per_photograph and any(figure.name in part.values for part in every)
    )
    strata = {variant.name: _strata(variant, keys, figures) for variant in variants}
    for row, name in REFERENCES.items():
        values_NK = _mean_of_runs([run.rows[row] for run in runs if row in run.rows], keys, figures)
        strata[name] = (Stratum(np.arange(len(keys)), values_NK[None]),)
    weights_NK = _weights(every, keys, figures)
    for parts in strata.values():
        for stratum in parts:
            values_nK = stratum.values_SNK.mean(0)
            # A figure that nobody's photographs have in this variant takes none from the others.
            defined_nK = np.isfinite(values_nK) | ~np.isfinite(values_nK).any(0)
            weights_NK[stratum.photographs] *= defined_nK
    return Aligned(
        keys, figures, weights_NK, strata, {name: len(found) for name, found in covered.items()}
    )


def _covered(variant: Variant) -> set[str]:
    """Keys that every seed of a fold has judged."""
    seen: dict[str, int | None] = {}
    for fold, runs in variant.folds().items():
        for key in set.intersection(*(set(variant.photographs(run).keys) for run in runs)):
            if key in seen:
                raise IrodoriError(
                    f"{key} was judged by folds {seen[key]} and {fold} of {variant.name}: one of"
                    " them may have been trained on it; compare runs of one division into folds"
                )
            seen[key] = fold
    return set(seen)


def _strata(
    variant: Variant, keys: Sequence[str], figures: Sequence[MetricInfo]
) -> tuple[Stratum, ...]:
    strata = []
    for runs in variant.folds().values():
        places = [_places(variant.photographs(run)) for run in runs]
        common = [n for n, key in enumerate(keys) if all(key in place for place in places)]
        if not common:
            continue
        values_SNK = np.stack(
            [
                _chosen(variant.photographs(run), [place[keys[n]] for n in common], figures)
                for run, place in zip(runs, places, strict=True)
            ]
        )
        strata.append(Stratum(np.array(common, np.int64), values_SNK))
    return tuple(strata)


def _places(photographs: Photographs) -> dict[str, int]:
    return {key: place for place, key in enumerate(photographs.keys)}


def _chosen(photographs: Photographs, places: list[int], figures: Sequence[MetricInfo]) -> Floats:
    """N×K values of the photographs in these places."""
    absent = np.full(len(places), np.nan)
    return np.stack(
        [
            photographs.values[figure.name][places] if figure.name in photographs.values else absent
            for figure in figures
        ],
        axis=1,
    )


def _mean_of_runs(
    parts: Sequence[Photographs], keys: Sequence[str], figures: Sequence[MetricInfo]
) -> Floats:
    """N×K means of the parts that have the photograph; NaN without any."""
    sums_NK = np.zeros((len(keys), len(figures)))
    counts_N1 = np.zeros((len(keys), 1))
    for part in parts:
        place = _places(part)
        rows = [n for n, key in enumerate(keys) if key in place]
        sums_NK[rows] += _chosen(part, [place[keys[n]] for n in rows], figures)
        counts_N1[rows] += 1
    with np.errstate(invalid="ignore"):
        means: Floats = sums_NK / counts_N1
    return means


def _weights(
    parts: Sequence[Photographs], keys: Sequence[str], figures: Sequence[MetricInfo]
) -> Floats:
    """Return N×K: 1, or what the photograph weighs in a metric that has weights of its own."""
    weights_NK = np.ones((len(keys), len(figures)))
    for k, figure in enumerate(figures):
        column = figure.name + WEIGHT
        known: dict[str, float] = {}
        for part in parts:
            if column in part.values:
                known.update(zip(part.keys, part.values[column].tolist(), strict=True))
        if known:
            weights_NK[:, k] = np.nan_to_num([known.get(key, 0.0) for key in keys])
    return weights_NK


def refuse_different_photographs(runs: Iterable[Run]) -> None:
    """Raise IrodoriError if a key means photographs of different sizes or colours."""
    first: dict[str, tuple[Run, tuple[int, int], float]] = {}
    for run in runs:
        gray = run.rows.get("gray") or run.rows[run.row]
        errors = gray.values.get(MAIN, np.full(len(gray.keys), np.nan)).tolist()
        if "gray" not in run.rows:
            errors = [np.nan] * len(errors)
        for key, size, error in zip(gray.keys, gray.sizes.tolist(), errors, strict=True):
            there = first.setdefault(key, (run, tuple(size), error))
            problem = None
            if there[1] != tuple(size):
                problem = f"{there[1][0]}×{there[1][1]} and {size[0]}×{size[1]} pixels"
            elif abs(there[2] - error) > SAME_GRAY:
                problem = f"its gray version is {there[2]:.2f} and {error:.2f} ab units off"
            if problem:
                raise IrodoriError(
                    f"{key} is another photograph in {there[0].folder} than in {run.folder}"
                    f" ({problem}): compare runs of the same shards"
                )
