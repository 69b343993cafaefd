"""Validation figures over the steps and the seconds of training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irodori.studies.runs import Run
from irodori.studies.statistics import Floats
from irodori.studies.variants import Variant
from irodori.utils.errors import IrodoriError, one_line

COLUMN = "val/chroma_rmse"
SECONDS = "train/seconds"


@dataclass(frozen=True)
class Validation:
    """What a run had reached after so much training."""

    steps: int
    seconds: float | None
    """Of training, without validations; None of runs that have not noted them."""
    rmse: float
    """ab units."""


@dataclass(frozen=True)
class Curve:
    """The E validations that all runs of a variant have."""

    epochs_E: Floats
    """Trained before the validation."""
    steps_E: Floats
    """Optimizer steps: the mean over the runs, since folds may differ in size."""
    seconds_E: Floats | None
    """Of training, likewise, since no two runs are equally fast; None if a run lacks them."""
    mean_E: Floats
    """Chrominance RMSE over the runs, in ab units."""
    low_E: Floats
    """Of the lowest run."""
    high_E: Floats
    """Of the highest run."""
    runs: int


def curves(variants: Sequence[Variant]) -> dict[str, Curve]:
    """The validation curves of the variants that have any, by name.

    Raises:
        IrodoriError: a metrics.csv is damaged.
    """
    found = {}
    for variant in variants:
        runs = [run for run in variant.runs if not run.evaluation]
        curve = together([validations(run) for run in runs])
        if curve is not None and not variant.predicted_luminance:
            found[variant.name] = curve
    return found


def together(runs: Sequence[Mapping[int, Validation]]) -> Curve | None:
    """The curve of several runs, over the epochs that all have; None if there are none."""
    epochs = sorted(set.intersection(*map(set, runs))) if runs else []
    if not epochs:
        return None
    there_ER = [[run[epoch] for run in runs] for epoch in epochs]
    seconds_ER = [[v.seconds for v in there if v.seconds is not None] for there in there_ER]
    rmse_ER = np.array([[v.rmse for v in there] for there in there_ER])
    timed = all(len(seconds) == len(runs) for seconds in seconds_ER)
    return Curve(
        np.array(epochs, np.float64),
        np.array([[v.steps for v in there] for there in there_ER], np.float64).mean(1),
        np.array(seconds_ER).mean(1) if timed else None,
        rmse_ER.mean(1),
        rmse_ER.min(1),
        rmse_ER.max(1),
        len(runs),
    )


def validations(run: Run) -> dict[int, Validation]:
    """A run's validations in training by epochs trained.

    The evaluations at the end, of the last checkpoint and of the best if it is another, are logged
    as validations, too. Lightning gives a validation the number of the step before it, counted from
    0, which a row of that epoch's training losses has as well; it gives an evaluation after
    training the number of steps, which no row of training has.

    Raises:
        IrodoriError: the file is damaged.
    """
    # Imported here: it brings Lightning, which mistakes needn't wait for.
    from irodori.training.metrics_csv import NAME, read

    path = run.folder / NAME
    rows = read(path)
    try:
        last = max((int(row["step"]) for row in rows if COLUMN not in row), default=-1)
        return {
            int(float(row["epoch"])) + 1: Validation(
                int(row["step"]) + 1,
                float(row[SECONDS]) if SECONDS in row else None,
                float(row[COLUMN]),
            )
            for row in rows
            if COLUMN in row and int(row["step"]) <= last
        }
    except (LookupError, ValueError) as error:
        raise IrodoriError(f"{path} is damaged: {one_line(error)}; restore or remove it") from None
