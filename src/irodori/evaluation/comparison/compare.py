"""Comparing runs: estimates, intervals and tests."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irodori.evaluation.comparison.alignment import Aligned, align
from irodori.evaluation.comparison.comparison import Comparison
from irodori.evaluation.comparison.runs import (
    REFERENCES,
    TRUE,
    LeftOut,
    Run,
    known_metrics,
    read_run,
    run_folders,
)
from irodori.evaluation.comparison.variants import Variant, group
from irodori.evaluation.statistics import (
    Floats,
    bootstrap,
    holm,
    interval,
    means,
    restricted,
    sign_flip_p,
    verdict,
)
from irodori.metrics.catalog import MAIN, MetricInfo
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import Reporter, silent
from irodori.utils.run_files import BEST

OF_THE_DATA = (
    *("shards", "samples", "evaluated", "mean_color", "checkpoint", "predictions", "truth"),
    "judged",  # what older versions called "evaluated"
)
"""Entries of a protocol that describe which photographs were measured, not how."""


def compare(
    folders: Sequence[Path], row: str = "last", metric: str = MAIN, report: Reporter = silent
) -> Comparison:
    """Compare the runs in these folders.

    Args:
        folders: folders of runs, evaluations and sweeps.
        row: checkpoints to compare, "last" or "best".
        metric: name of the main metric.
        report: called with the progress.

    Raises:
        IrodoriError: no run is finished, or the runs can't be compared.
    """
    if row not in ("last", "best"):
        raise IrodoriError(f"--row {row} is unknown: give last or best")
    paths = run_folders(folders)
    found = []
    for number, folder in enumerate(paths):
        report(f"reading {len(paths)} run folders", number, len(paths))
        found.append(read_run(folder, row))
    runs = [run for run in found if isinstance(run, Run)]
    left_out = tuple(run for run in found if isinstance(run, LeftOut))
    if not runs:
        first = left_out[0]
        raise IrodoriError(
            f"nothing to compare: {first.folder} is left out ({first.reason})"
            + (f", and {len(left_out) - 1} more" if len(left_out) > 1 else "")
        )
    metrics = known_metrics(runs)
    if metric not in metrics or metrics[metric].better == "neither":
        ranked = ", ".join(name for name, info in metrics.items() if info.better != "neither")
        raise IrodoriError(f"--metric {metric} can't rank variants: choose one of {ranked}")
    protocol = common_protocol(runs)
    variants = tuple(group(runs, row))
    aligned = align(variants)
    names = (*(variant.name for variant in variants), *REFERENCES.values())
    strata = [aligned.strata[name] for name in (*names, TRUE)]
    resampled = bootstrap(strata, aligned.weights_NK, report=report)
    columns = ["variant", "metric", "mean", "low", "high", "photographs"]
    found_means = _of_photographs(aligned, (*names, TRUE), resampled) + _of_sets(variants, metrics)
    estimates = pd.DataFrame(found_means, columns=columns).set_index(columns[:2])
    order = [(name, info) for name in (*names, TRUE) for info in metrics]
    estimates = estimates.loc[[key for key in order if key in estimates.index]]
    seeds = pd.Series({variant.name: variant.seeds for variant in variants}, dtype="Int64")
    seeds = seeds.reindex(estimates.index.get_level_values("variant")).array
    known = estimates.index.unique("metric")
    return Comparison(
        row,
        metrics[metric],
        variants,
        tuple(aligned.keys),
        tuple(info for name, info in metrics.items() if name in known),
        estimates.assign(seeds=seeds),
        _differences(aligned, names, len(variants), resampled, report),
        _scenes(aligned, names, metric, report),
        protocol,
        tuple(sorted({s for run in runs for s in run.metrics["protocol"].get("shards", [])})),
        left_out,
        tuple(_warnings(row, variants, aligned)),
    )


def common_protocol(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the common protocol of runs, without entries about the photographs.

    Raises:
        IrodoriError: the runs were measured differently.
    """

    def how(run: Run) -> dict[str, Any]:
        protocol = run.metrics.get("protocol", {})
        kept = {name: value for name, value in protocol.items() if name not in OF_THE_DATA}
        definitions = kept.pop("definitions", {})
        return kept | {f"definition of {name}": text for name, text in definitions.items()}

    first = how(runs[0])
    for run in runs[1:]:
        other = how(run)
        for name in sorted({*first, *other}):
            # Runs may lack metrics.
            optional = name.startswith("definition of ") and not (name in first and name in other)
            if first.get(name) != other.get(name) and not optional:
                here, there = (
                    json.dumps(protocol.get(name), ensure_ascii=False)
                    for protocol in (first, other)
                )
                raise IrodoriError(
                    f"measured differently: {name} is {here} in {runs[0].folder} and {there} in"
                    f" {run.folder}; evaluate both with one protocol"
                )
    return first


def _of_photographs(
    aligned: Aligned, names: Sequence[str], resampled_RVK: Floats
) -> list[tuple[Any, ...]]:
    """Return the estimates of metrics that are measured per photograph."""
    estimates = []
    counts_K = (aligned.weights_NK > 0).sum(0)
    for v, name in enumerate(names):
        mean_K = means(aligned.strata[name], aligned.weights_NK)
        for k, metric in enumerate(aligned.metrics):
            if np.isfinite(mean_K[k]):
                low, high = interval(resampled_RVK[:, v, k])
                estimates.append((name, metric.name, mean_K[k], low, high, counts_K[k]))
    return estimates


def _scenes(aligned: Aligned, names: Sequence[str], metric: str, report: Reporter) -> pd.DataFrame:
    """Return the means of a metric for each scene."""
    columns = ["scene", "variant", "photographs", "mean", "low", "high"]
    scenes_S = np.unique(aligned.scenes_N[aligned.scenes_N != ""])
    k = next((k for k, known in enumerate(aligned.metrics) if known.name == metric), None)
    found: list[tuple[Any, ...]] = []
    if k is not None and len(scenes_S) > 1:
        weights_N = aligned.weights_NK[:, k]
        for number, scene in enumerate(scenes_S):
            report("resampling the scenes", number, len(scenes_S))
            chosen = np.flatnonzero((aligned.scenes_N == scene) & (weights_N > 0))
            if not len(chosen):
                continue
            weights_n1 = weights_N[chosen, None]
            strata = [restricted(aligned.strata[name], chosen, k) for name in names]
            resampled_RV1 = bootstrap(strata, weights_n1)
            for v, name in enumerate(names):
                (mean,) = means(strata[v], weights_n1)
                if np.isfinite(mean):
                    limits = interval(resampled_RV1[:, v, 0])
                    found.append((scene, name, len(chosen), mean, *limits))
    return pd.DataFrame(found, columns=columns).set_index(columns[:2])


def _differences(
    aligned: Aligned, names: Sequence[str], variants: int, resampled_RVK: Floats, report: Reporter
) -> pd.DataFrame:
    """Return the differences of all pairs with a variant, with p corrected per metric."""
    pairs = [(a, b) for a, b in combinations(range(len(names)), 2) if a < variants]
    # The mean over the seeds that colorized a photograph.
    values_VNK = np.full((len(names), *aligned.weights_NK.shape), np.nan)
    for v, name in enumerate(names):
        for stratum in aligned.strata[name]:
            values_VNK[v, stratum.photographs] = stratum.values_SNK.mean(0)
    differences = []
    for k, metric in enumerate(aligned.metrics):
        report("testing the differences", k, len(aligned.metrics))
        column = aligned.distances.get(metric.name, k)
        rows = aligned.weights_NK[:, column] > 0
        weights_N1 = aligned.weights_NK[rows, column, None]
        values_VN = values_VNK[:, rows, column]
        raw_NP = np.stack([values_VN[a] - values_VN[b] for a, b in pairs], 1)
        p_P = sign_flip_p(raw_NP * weights_N1) if rows.any() else np.full(len(pairs), np.nan)
        count = int(rows.sum())
        for pair, (p, corrected) in enumerate(zip(p_P, holm(p_P.tolist()), strict=True)):
            if not np.isfinite(p):
                continue
            a, b = pairs[pair]
            mean = (raw_NP[:, pair] * weights_N1[:, 0]).sum() / weights_N1.sum()
            low, high = interval(resampled_RVK[:, a, column] - resampled_RVK[:, b, column])
            for one, other, of_one in ((a, b, (mean, low, high)), (b, a, (-mean, -high, -low))):
                says = verdict(*of_one, corrected, metric.better, count)
                sides = names[one], names[other], metric.name
                differences.append((*sides, *of_one, p, corrected, says))
    columns = ["variant", "other", "metric", "difference", "low", "high", "p", "p_corrected"]
    return pd.DataFrame(differences, columns=[*columns, "verdict"]).set_index(columns[:3])


def _of_sets(
    variants: Sequence[Variant], metrics: Mapping[str, MetricInfo]
) -> list[tuple[Any, ...]]:
    """Return the estimates of set metrics: means over runs, each on its own photographs."""
    measured: dict[str, list[tuple[Run, str]]] = {}
    for variant in variants:
        for run in variant.runs:
            own = {variant.row(run): variant.name, **REFERENCES}
            for row in own.keys() & run.metrics["rows"].keys():
                measured.setdefault(own[row], []).append((run, row))
    estimates = []
    for metric in metrics.values():
        for name, runs_and_rows in measured.items():
            values = [run.metrics["rows"][row].get(metric.name) for run, row in runs_and_rows]
            if not metric.per_photograph and None not in values:
                count = min(len(run.rows[row]) for run, row in runs_and_rows)
                estimates.append((name, metric.name, np.mean(values), np.nan, np.nan, count))
    return estimates


def _warnings(row: str, variants: Sequence[Variant], aligned: Aligned) -> list[str]:
    warnings = []
    runs = [run for variant in variants for run in variant.runs]
    if row == "best" and not all(run.evaluation for run in runs):
        warnings.append(
            "The best checkpoints were chosen on the photographs that they are evaluated on: their"
            " metrics are too optimistic, more so with more validations. Without --row best,"
            " the last checkpoints are compared, which have no such bias."
        )
    warnings += [
        f"{run.folder.name} evaluates {BEST}, which was chosen on the validation photographs of its"
        " run: its metrics are too optimistic if these are the same."
        for run in runs
        if run.evaluation and run.checkpoint is not None and run.checkpoint.name == BEST
    ]
    if any(count != len(aligned.keys) for count in aligned.measured.values()):
        measured = ", ".join(f"{name} {count:,}" for name, count in aligned.measured.items())
        warnings.append(
            f"Runs have different photographs: compared on the {len(aligned.keys):,} common ones"
            f" (measured: {measured})."
        )
    return warnings
