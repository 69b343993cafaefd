"""Runs in, a comparison out: estimates, differences, and what has to be said about them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from irodori.metrics.catalog import MetricInfo
from irodori.studies.alignment import Aligned, align
from irodori.studies.folders import run_folders
from irodori.studies.runs import REFERENCES, LeftOut, Run, known_metrics, read_run
from irodori.studies.statistics import (
    Floats,
    Stratum,
    bootstrap,
    holm,
    interval,
    means,
    sign_flip_p,
    verdict,
)
from irodori.studies.variants import Variant, group
from irodori.utils.errors import IrodoriError

TRUE = "true"
"""The photographs themselves, where a figure of them is known."""
BEST = "best.ckpt"
OF_THE_DATA = ("shards", "samples", "evaluated", "mean_color", "checkpoint", "predictions", "truth")
"""Entries of a protocol that say which photographs were measured, not how."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; of figures of the set as a whole, NaN for the interval."""

    mean: float
    low: float
    high: float
    photographs: int


@dataclass(frozen=True)
class Difference:
    """What one side's mean has over the other's, on the same photographs."""

    difference: float
    """First less second; of figures that are best near zero, of their distances from it."""
    low: float
    high: float
    p: float
    p_corrected: float
    photographs: int
    verdict: str
    """Of the first side: see `statistics.verdict`."""


@dataclass(frozen=True)
class Comparison:
    """All that a report needs."""

    row: str
    """last or best."""
    variants: tuple[Variant, ...]
    keys: tuple[str, ...]
    """Of the photographs that all variants have judged."""
    figures: tuple[MetricInfo, ...]
    estimates: Mapping[tuple[str, str], Estimate]
    """By name of the variant or reference, and of the figure."""
    differences: Mapping[tuple[str, str, str], Difference]
    """By the two sides, variants first, and the figure."""
    protocol: Mapping[str, Any]
    shards: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    """What a reader must know, loudly."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the variants."""
        return tuple(variant.name for variant in self.variants)

    @property
    def rows(self) -> tuple[str, ...]:
        """Of the variants and the references."""
        return (*self.names, *REFERENCES.values())

    def between(self, one: str, other: str, figure: str) -> Difference | None:
        """The difference of two sides in either order; None if it isn't known."""
        if (one, other, figure) in self.differences:
            return self.differences[one, other, figure]
        there = self.differences.get((other, one, figure))
        if there is None:
            return None
        opposite = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}
        return replace(
            there,
            difference=-there.difference,
            low=-there.high,
            high=-there.low,
            verdict=opposite.get(there.verdict, there.verdict),
        )

    def best(self, figure: MetricInfo) -> str | None:
        """The variant with the best mean; None if the figure has no direction or nobody has it."""
        known = {
            name: self.estimates[name, figure.name].mean
            for name in self.names
            if (name, figure.name) in self.estimates
        }
        if not known or figure.better == "neither":
            return None
        if figure.better == "higher":
            return max(known, key=lambda name: known[name])
        distance = abs if figure.better == "near zero" else float
        return min(known, key=lambda name: distance(known[name]))

    def stands_out(self, name: str, figure: MetricInfo) -> bool:
        """Whether a variant is the best and can be told from all others."""
        others = [other for other in self.names if other != name]
        found = [self.between(name, other, figure.name) for other in others]
        return bool(others) and all(d is not None and d.verdict == "better" for d in found)


def compare(folders: Sequence[Path], row: str = "last") -> Comparison:
    """Compare the runs in these folders.

    Args:
        folders: of runs, evaluations and sweeps.
        row: last or best.

    Raises:
        IrodoriError: no run is finished, or they can't be compared.
    """
    if row not in ("last", "best"):
        raise IrodoriError(f"--row {row} is unknown: last or best")
    found = [read_run(folder, row) for folder in run_folders(folders)]
    runs = [run for run in found if isinstance(run, Run)]
    left_out = tuple(run for run in found if isinstance(run, LeftOut))
    if not runs:
        first = left_out[0]
        raise IrodoriError(
            f"nothing to compare: {first.folder} is left out ({first.reason})"
            + (f", and {len(left_out) - 1} more" if len(left_out) > 1 else "")
        )
    protocol = common_protocol(runs)
    variants = tuple(group(runs, row))
    aligned = align(variants)
    names = (*(variant.name for variant in variants), *REFERENCES.values())
    columns = _columns(aligned)
    estimates, resampled = _estimates(columns, names)
    estimates.update(_true_colorfulness(columns, names[0]))
    metrics = known_metrics(runs)
    estimates.update(_of_the_set(variants, metrics.values()))
    shards = sorted({s for run in runs for s in run.metrics.get("protocol", {}).get("shards", [])})
    known = {figure for _, figure in estimates}
    return Comparison(
        row,
        variants,
        aligned.keys,
        tuple(info for name, info in metrics.items() if name in known),
        estimates,
        _differences(columns, names, len(variants), resampled),
        protocol,
        tuple(shards),
        left_out,
        tuple(_warnings(row, variants, aligned)),
    )


def common_protocol(runs: Sequence[Run]) -> dict[str, Any]:
    """How all of them were measured, without the photographs that they were measured on.

    Raises:
        IrodoriError: they were measured differently.
    """

    def how(run: Run) -> dict[str, Any]:
        protocol = run.metrics.get("protocol", {})
        kept = {name: value for name, value in protocol.items() if name not in OF_THE_DATA}
        # Not every run has every figure.
        definitions = kept.pop("definitions", {})
        return kept | {f"definition of {name}": text for name, text in definitions.items()}

    first = how(runs[0])
    for run in runs[1:]:
        other = how(run)
        for name in sorted({*first, *other}):
            defined_once = name.startswith(
                "definition of "
            ) and not first.keys() & other.keys() >= {name}
            if first.get(name) != other.get(name) and not defined_once:
                here, there = (
                    json.dumps(protocol.get(name), ensure_ascii=False)
                    for protocol in (first, other)
                )
                raise IrodoriError(
                    f"measured differently: {name} is {here} in {runs[0].folder} and {there} in"
                    f" {run.folder}; evaluate both with one protocol"
                )
    return first


def _columns(aligned: Aligned) -> Aligned:
    """The figures, and after them the distance from 0 of those that are best near it."""
    near = [k for k, figure in enumerate(aligned.figures) if figure.better == "near zero"]

    def extended(stratum: Stratum) -> Stratum:
        values = stratum.values_SNK
        return replace(
            stratum, values_SNK=np.concatenate([values, np.abs(values[..., near])], axis=-1)
        )

    return replace(
        aligned,
        weights_NK=np.concatenate([aligned.weights_NK, aligned.weights_NK[:, near]], axis=1),
        strata={name: tuple(map(extended, parts)) for name, parts in aligned.strata.items()},
    )


def _estimates(
    columns: Aligned, names: Sequence[str]
) -> tuple[dict[tuple[str, str], Estimate], Floats]:
    """The means of the figures with their intervals, and all resampled means (R×V×K)."""
    resampled = bootstrap([columns.strata[name] for name in names], columns.weights_NK)
    estimates = {}
    for v, name in enumerate(names):
        mean_K = means(columns.strata[name], columns.weights_NK)
        for k, figure in enumerate(columns.figures):
            if np.isfinite(mean_K[k]):
                estimates[name, figure.name] = Estimate(
                    float(mean_K[k]),
                    *interval(resampled[:, v, k]),
                    int((columns.weights_NK[:, k] > 0).sum()),
                )
    return estimates, resampled


def _values(columns: Aligned, name: str) -> Floats:
    """N×K values, averaged over seeds."""
    values_NK = np.full(columns.weights_NK.shape, np.nan)
    for stratum in columns.strata[name]:
        values_NK[stratum.photographs] = stratum.values_SNK.mean(0)
    return values_NK


def _differences(
    columns: Aligned, names: Sequence[str], variants: int, resampled: Floats
) -> dict[tuple[str, str, str], Difference]:
    """Of all pairs with a variant: Holm's correction is over all of them, for each figure."""
    pairs = [(a, b) for a, b in combinations(range(len(names)), 2) if a < variants]
    weights_NK = columns.weights_NK
    values = [_values(columns, name) for name in names]
    near = [figure.name for figure in columns.figures if figure.better == "near zero"]
    differences = {}
    for k, figure in enumerate(columns.figures):
        column = len(columns.figures) + near.index(figure.name) if figure.name in near else k
        rows = weights_NK[:, column] > 0
        weights_N1 = weights_NK[rows, column, None]
        raw_NP = np.stack([values[a][rows, column] - values[b][rows, column] for a, b in pairs], 1)
        p_P = sign_flip_p(raw_NP * weights_N1) if rows.any() else np.full(len(pairs), np.nan)
        for pair, p, corrected in zip(enumerate(pairs), p_P, holm(p_P.tolist()), strict=True):
            number, (a, b) = pair
            if not np.isfinite(p):
                continue
            mean = float((raw_NP[:, number] * weights_N1[:, 0]).sum() / weights_N1.sum())
            low, high = interval(resampled[:, a, column] - resampled[:, b, column])
            count = int(rows.sum())
            differences[names[a], names[b], figure.name] = Difference(
                mean,
                low,
                high,
                float(p),
                float(corrected),
                count,
                verdict(mean, low, high, float(corrected), figure.better, count),
            )
    return differences


def _true_colorfulness(columns: Aligned, name: str) -> dict[tuple[str, str], Estimate]:
    """The photographs' own colorfulness: that of any pictures less their difference to it."""
    place = {figure.name: k for k, figure in enumerate(columns.figures)}
    found = {}
    for figure in ("colorfulness", "colorfulness_abs"):
        if f"{figure}_difference" not in place:
            continue
        k, d = place[figure], place[f"{figure}_difference"]
        values_NK = _values(columns, name)
        weights_N1 = columns.weights_NK[:, [k]]
        true = Stratum(np.arange(len(values_NK)), (values_NK[:, [k]] - values_NK[:, [d]])[None])
        mean = float(means([true], weights_N1)[0])
        if np.isfinite(mean):
            limits = interval(bootstrap([[true]], weights_N1)[:, 0, 0])
            found[TRUE, figure] = Estimate(mean, *limits, int((weights_N1 > 0).sum()))
    return found


def _of_the_set(
    variants: Sequence[Variant], metrics: Iterable[MetricInfo]
) -> dict[tuple[str, str], Estimate]:
    """Return metrics of whole sets: the mean over the runs, each on its own photographs."""
    found = {}
    for figure in metrics:
        if figure.per_photograph:
            continue
        rows: dict[str, list[tuple[Any, Any]]] = {}
        for variant in variants:
            for run in variant.runs:
                table = run.metrics["rows"]
                rows.setdefault(variant.name, []).append((run, variant.row(run)))
                for row, name in REFERENCES.items():
                    if row in table:
                        rows.setdefault(name, []).append((run, row))
        for name, places in rows.items():
            values = [run.metrics["rows"].get(row, {}).get(figure.name) for run, row in places]
            numbers = [value for value in values if value is not None]
            if numbers and len(numbers) == len(values):
                counts = [len(run.rows[row].keys) for run, row in places]
                mean = float(np.mean(numbers))
                found[name, figure.name] = Estimate(mean, np.nan, np.nan, min(counts))
    return found


def _warnings(row: str, variants: Sequence[Variant], aligned: Aligned) -> list[str]:
    warnings = []
    if row == "best" and any(not run.evaluation for v in variants for run in v.runs):
        warnings.append(
            "The best checkpoints were chosen on the photographs that they are reported on: their"
            " figures are too good, by more the more often a run was validated. Without --row best,"
            " the last checkpoints are compared, which weren't chosen."
        )
    for run in (run for variant in variants for run in variant.runs):
        if run.evaluation and run.checkpoint is not None and run.checkpoint.name == BEST:
            warnings.append(
                f"{run.folder.name} evaluates {BEST}, which was chosen on the validation"
                " photographs of its run: its figures are too good if these are the same."
            )
    if any(count != len(aligned.keys) for count in aligned.judged.values()):
        judged = ", ".join(f"{name} {count:,}" for name, count in aligned.judged.items())
        warnings.append(
            f"Different photographs: compared on the {len(aligned.keys):,} that all have"
            f" (judged: {judged})."
        )
    return warnings
