"""Validations in training: curves, and variants after equal steps and after equal time."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from irodori.evaluation.comparison import plots
from irodori.evaluation.comparison.comparison import Comparison
from irodori.evaluation.comparison.runs import Run
from irodori.evaluation.comparison.variants import Variant
from irodori.evaluation.document import Block, Cell, Heading, Table, Text
from irodori.metrics.catalog import MAIN, MetricInfo
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.run_files import METRICS_CSV

SECONDS = "train/seconds"


def curves(variants: Sequence[Variant], metric: str = MAIN) -> dict[str, pd.DataFrame]:
    """Return the validation curves of a metric, for the variants that have any, by name.

    Each is a table indexed by epochs trained, with a row for each validation that all runs of the
    variant have: `runs`; `steps` and `seconds` of training, means over the runs, since folds may
    differ in size and no two runs are equally fast (NaN if a run lacks its seconds); and `mean`,
    `low` and `high` of the metric over the runs.

    Raises:
        IrodoriError: a metrics.csv is damaged.
    """
    found = {
        variant.name: average([validations(r, metric) for r in variant.runs if not r.evaluation])
        for variant in variants
        if not variant.predicted_luminance
    }
    return {name: curve for name, curve in found.items() if not curve.empty}


def average(runs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the curve of several runs, over the epochs that all of them have; see `curves`."""
    if not runs:
        return pd.DataFrame()
    by_epoch = pd.concat(runs).groupby(level=0)
    curve = by_epoch.agg(
        runs=("value", "size"),
        steps=("steps", "mean"),
        seconds=("seconds", lambda seconds: seconds.mean(skipna=False)),
        mean=("value", "mean"),
        low=("value", "min"),
        high=("value", "max"),
    )
    curve = curve[curve["runs"] == len(runs)]
    # Where one run has not noted its seconds, a mean over the others means nothing.
    return curve.assign(seconds=np.nan) if curve["seconds"].isna().any() else curve


def validations(run: Run, metric: str = MAIN) -> pd.DataFrame:
    """Return a run's validations in training by epochs trained: `steps`, `seconds` and `value`.

    The evaluations at the end, of the last checkpoint and of the best if it is another, are logged
    as validations, too. Lightning gives a validation the number of the step before it, counted from
    0, which a row of that epoch's training losses has as well; it gives an evaluation after
    training the number of steps, which no row of training has.

    Raises:
        IrodoriError: the file is damaged.
    """
    path = run.folder / METRICS_CSV
    if not path.exists():
        return pd.DataFrame({"steps": [], "seconds": [], "value": []}, dtype=float)
    try:
        rows = pd.read_csv(path).astype({"epoch": float, "step": int})
        values = rows.get(f"val/{metric}", pd.Series(np.nan, rows.index))
        validated = values.notna() & (rows["step"] <= rows["step"][values.isna()].max())
        seconds = rows.get(SECONDS, pd.Series(np.nan, rows.index))
        found = pd.DataFrame({"steps": rows["step"] + 1, "seconds": seconds, "value": values})
        found = found[validated].set_index(rows["epoch"][validated].astype(int) + 1).astype(float)
        return found[~found.index.duplicated(keep="last")]
    except (OSError, ValueError, LookupError) as error:
        raise IrodoriError(f"{path} is damaged: {one_line(error)}; restore or remove it") from None


def training_table(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return all curves in one table by variant and epochs, not rounded.

    `equal_steps` and `equal_seconds` are the most that every variant has been validated after,
    where a row is the variant's last validation up to there; elsewhere NaN, and everywhere where a
    run has not noted its seconds. In time, variants are compared by the means over their runs:
    were each run measured by its own clock, those of the fastest variant that are slower than its
    mean would lack their last validation.
    """
    table = pd.concat(curves, names=["variant", "epochs"])
    for amount in ("steps", "seconds"):
        limit = table.groupby("variant")[amount].tail(1).min(skipna=False)
        taken = table[table[amount] <= limit].groupby("variant").tail(1).index
        table[f"equal_{amount}"] = np.where(table.index.isin(taken), limit, np.nan)
    return table


def training_section(comparison: Comparison, curves: Mapping[str, pd.DataFrame]) -> list[Block]:
    """Return plot, table and words on training; nothing without curves."""
    if not curves:
        return []
    blocks: list[Block] = []
    if (plot := plots.training(comparison, curves)) is not None:
        below = (
            "Means of a variant's runs on their validation photographs, shaded from the lowest to"
            " the highest run. Minutes are of training alone, without validations."
        )
        blocks += [Heading("Training"), plot, Text(below, "note")]
    if len(curves) > 1:
        table = training_table(curves)
        blocks.append(Heading("After equal steps and after equal time"))
        blocks.append(equal_table(comparison.main, table))
        blocks.append(Text(_what_is_equal(comparison.main, table), "note"))
    if untimed := [name for name, curve in curves.items() if curve["seconds"].isna().any()]:
        why = (
            f"the runs of {'; '.join(untimed)} have not noted {SECONDS}, as older versions did not"
        )
        blocks.append(Text(f"Nothing is shown over time: {why}.", "note"))
    return blocks


def equal_table(metric: MetricInfo, table: pd.DataFrame) -> Table:
    """Return a row a variant: the metric after equal steps and, where known, after equal time."""
    header, rows = [""], {name: [Cell(name)] for name in table.index.unique("variant")}
    for amount, words in (("steps", _steps), ("seconds", _minutes)):
        taken = table.dropna(subset=f"equal_{amount}").droplevel("epochs")
        if taken.empty:
            continue
        header += [f"after {words(taken[f'equal_{amount}'].iloc[0])}", "steps done"]
        for name, row in rows.items():
            if name not in taken.index:
                row += [Cell("–", "not validated by then"), Cell("–")]
                continue
            there = taken.loc[name]
            limits = f"{metric.text(there['low'])} … {metric.text(there['high'])}"
            row += [Cell(metric.text(there["mean"]), limits), Cell(f"{there['steps']:,.0f}")]
    return Table(header, list(rows.values()))


def _what_is_equal(metric: MetricInfo, table: pd.DataFrame) -> str:
    steps, seconds = table["equal_steps"].max(), table["equal_seconds"].max()
    sentences = [
        f"Validation {metric.title} ({metric.unit or 'no unit'}): the mean over a variant's runs,"
        " below it the lowest … the highest run, which is no confidence interval: folds have"
        " photographs of their own. Of each variant the last validation at or before the limit"
        " is taken.",
        f"{_steps(steps)}: the most that every variant has been validated after.",
        "The learning rate's schedule matters: one that falls to 0 at the end flatters whoever has"
        " reached it, which after equal time slower variants haven't. What a shorter training"
        " reaches is known only from runs whose schedule ends with it.",
    ]
    if not np.isnan(seconds):
        sentences[2:2] = [
            f"{_minutes(seconds)}: what the fastest variant took to its last validation; they mean"
            " something where all runs had the same machine, and nothing beside them."
        ]
    return " ".join(sentences)


def _steps(steps: float) -> str:
    return f"{steps:,.0f} steps"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes"
