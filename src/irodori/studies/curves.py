"""Validation figures over the epochs of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irodori.errors import IrodoriError, one_line
from irodori.studies.runs import Run
from irodori.studies.statistics import Floats
from irodori.studies.variants import Variant

COLUMN = "val/chroma_rmse"


@dataclass(frozen=True)
class Curve:
    """The mean over the runs of a variant, with their range."""

    epochs_E: Floats
    mean_E: Floats
    low_E: Floats
    high_E: Floats


def curves(variants: Sequence[Variant]) -> dict[str, Curve]:
    """The validation curves of the variants that have any, by name."""
    found = {}
    for variant in variants:
        runs = [run for run in variant.runs if not run.evaluation]
        curve = together([validations(run) for run in runs])
        if curve is not None and not variant.predicted_luminance:
            found[variant.name] = curve
    return found


def together(runs: Sequence[Mapping[int, float]]) -> Curve | None:
    """The curve of several runs, over the epochs that all have; None if there are none."""
    epochs = sorted(set.intersection(*map(set, runs))) if runs else []
    if not epochs:
        return None
    values_RE = np.array([[run[epoch] for epoch in epochs] for run in runs])
    return Curve(
        np.array(epochs, np.float64), values_RE.mean(0), values_RE.min(0), values_RE.max(0)
    )


def validations(run: Run) -> dict[int, float]:
    """Chrominance RMSE by epochs trained, without the two evaluations at the end.

    Raises:
        IrodoriError: the file is damaged.
    """
    # Imported here: it brings Lightning, which mistakes needn't wait for.
    from irodori.training.metrics_csv import NAME, read

    path = run.folder / NAME
    rows = [row for row in read(path) if COLUMN in row]
    try:
        return {
            int(float(row["epoch"])) + 1: float(row[COLUMN]) for row in rows[:-2] if "epoch" in row
        }
    except ValueError as error:
        raise IrodoriError(f"{path} is damaged: {one_line(error)}; restore or remove it") from None
