"""Validation during training: curves, and variants after equal steps and equal time."""

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
    """Return the validation curves of a metric by variant, for variants that have any.

    Each is a table indexed by trained epochs, with one row per validation that all runs of the
    variant have: number of `runs`; `steps` and `seconds` of training, averaged over runs, since
    folds and speeds differ (NaN if a run lacks its seconds); and `mean`, `low` and `high` of the
    metric over the runs.

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
    """Return the curve of several runs over their common epochs; see `curves`."""
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
    # If one run lacks its seconds, a mean over the others is meaningless.
    return curve.assign(seconds=np.nan) if curve["seconds"].isna().any() else curve


def validations(run: Run, metric: str = MAIN) -> pd.DataFrame:
    """Return a run's validations, indexed by trained epochs: `steps`, `seconds` and `value`.

    Of n validations of an epoch, the k-th is at k/n of it.

    The final evaluations (of the last checkpoint, and of the best one if different) are logged as
    validations, too, and excluded here. Lightning logs a validation with the 0-based index of the
    preceding step, which a row of training losses also has, but an evaluation after training with
    the number of steps, which no training row has.

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
        found = found[validated].drop_duplicates("steps", keep="last").astype(float)
        epoch = rows["epoch"][found.index].astype(int)
        of_epoch = epoch.groupby(epoch)
        epochs = epoch + (of_epoch.cumcount() + 1) / of_epoch.transform("size")
        return found.set_index(epochs if (epochs % 1).any() else epochs.astype(int))
    except (OSError, ValueError, LookupError) as error:
        raise IrodoriError(f"{path} is damaged: {one_line(error)}; restore or remove it") from None


def training_table(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return all curves in one table by variant and epochs, unrounded.

    `equal_steps` and `equal_seconds` are the largest amounts that every variant has reached, in the
    row of the variant's last validation up to there; otherwise NaN, and always NaN if a run lacks
    its seconds. Times are means over a variant's runs: with each run's own time, slower runs of the
    fastest variant would lack their last validation.
    """
    table = pd.concat(curves, names=["variant", "epochs"])
    for amount in ("steps", "seconds"):
        limit = table.groupby("variant")[amount].tail(1).min(skipna=False)
        taken = table[table[amount] <= limit].groupby("variant").tail(1).index
        table[f"equal_{amount}"] = np.where(table.index.isin(taken), limit, np.nan)
    return table


def training_section(comparison: Comparison, curves: Mapping[str, pd.DataFrame]) -> list[Block]:
    """Return plot, table and text on training; empty without curves."""
    if not curves:
        return []
    blocks: list[Block] = []
    if (plot := plots.training(comparison, curves)) is not None:
        below = (
            "Means over a variant's runs on their validation photographs, shaded from the lowest to"
            " the highest run. Minutes are training time without validation."
        )
        blocks += [Heading("Training"), plot, Text(below, "note")]
    if len(curves) > 1:
        table = training_table(curves)
        blocks.append(Heading("After equal steps and after equal time"))
        blocks.append(equal_table(comparison.main, table))
        blocks.append(Text(_what_is_equal(comparison.main, table), "note"))
    if untimed := [name for name, curve in curves.items() if curve["seconds"].isna().any()]:
        why = f"the runs of {'; '.join(untimed)} lack {SECONDS} (written by an older version)"
        blocks.append(Text(f"Nothing is shown over time: {why}.", "note"))
    return blocks


def equal_table(metric: MetricInfo, table: pd.DataFrame) -> Table:
    """Return one row per variant: the metric after equal steps and, if known, equal time."""
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
        " below it the lowest … highest run, which is not a confidence interval: folds have"
        " different photographs. For each variant, the last validation at or before the limit"
        " is used.",
        f"{_steps(steps)}: the largest number that every variant has reached.",
        "The learning rate schedule matters: one that falls to 0 at the end favors variants that"
        " have reached it, unlike slower variants after equal time. What a shorter training"
        " achieves is known only from runs whose schedule ends with it.",
    ]
    if not np.isnan(seconds):
        sentences[2:2] = [
            f"{_minutes(seconds)}: the time of the fastest variant until its last validation; it is"
            " meaningful only if all runs used the same machine exclusively."
        ]
    return " ".join(sentences)


def _steps(steps: float) -> str:
    return f"{steps:,.0f} steps"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes"
