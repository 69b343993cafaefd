"""Plots of a comparison."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from irodori.evaluation.comparison.comparison import Comparison
from irodori.evaluation.comparison.runs import REFERENCES, TRUE
from irodori.evaluation.document import Picture
from irodori.evaluation.plotting import GRAY, color, draw, label_point, label_rows, marker
from irodori.metrics.catalog import METRICS, MetricInfo

COLORFULNESS = METRICS["colorfulness"]


def axis_title(metric: MetricInfo) -> str:
    """Return an axis title with unit and direction."""
    direction = "" if metric.better == "neither" else f"{metric.better} is better"
    if metric.better == "near zero":
        direction = "best near 0"
    notes = ", ".join(note for note in (metric.unit, direction) if note)
    return f"{metric.title} ({notes})" if notes else metric.title


def forest(comparison: Comparison) -> Picture:
    """Plot the main metric of variants and references with intervals."""
    main = comparison.main
    rows = comparison.means(main).sort_values("mean", ascending=main.better != "higher")
    # References come last.
    rows = rows.sort_index(key=lambda names: names.isin(REFERENCES.values()), kind="stable")

    def paint(axes: Axes) -> None:
        for place, (name, mean, low, high, *_) in enumerate(rows.itertuples()):
            tint = color(comparison.names, name)
            axes.hlines(place, low, high, color=tint, linewidth=2.4)
            axes.plot(
                mean, place, marker(comparison.names, name), color=tint,
                markersize=8, markeredgecolor="white",
            )  # fmt: skip
            label_point(axes, main.text(mean), (mean, place))
        label_rows(axes, list(rows.index))
        axes.set_xlabel(axis_title(main))

    values = "; ".join(
        f"{name} {main.text(mean)} ({main.text(low)} to {main.text(high)})"
        for name, mean, low, high, *_ in rows.itertuples()
    )
    alt = f"{main.title} with 95 % intervals: {values}"
    return draw("errors", alt, 1.0 + 0.42 * len(rows), paint)


def trade_off(comparison: Comparison) -> Picture | None:
    """Plot the main metric against colorfulness, since pale pictures can have small errors."""
    main = comparison.main
    colorfulness = comparison.means(COLORFULNESS)
    points = colorfulness.join(comparison.means(main).add_suffix("_y"), how="inner")
    if points.empty or main == COLORFULNESS:
        return None
    references = points[~points.index.isin(comparison.names)]
    columns, lines = _legend_grid(comparison.names)

    def paint(axes: Axes) -> None:
        for x in points.itertuples():
            name, tint = x.Index, color(comparison.names, x.Index)
            axes.hlines(x.mean_y, x.low, x.high, color=tint, linewidth=1.4)
            axes.vlines(x.mean, x.low_y, x.high_y, color=tint, linewidth=1.4)
            axes.plot(
                x.mean, x.mean_y, marker(comparison.names, name), color=tint,
                markersize=7, markeredgecolor="white",
                label=name if name in comparison.names else None,
            )  # fmt: skip
            if name not in comparison.names:
                # Gray and the mean color are close together: label one above and one below.
                below = x.mean_y < references["mean_y"].max()
                axes.annotate(
                    name, (x.mean, x.mean_y), (7, -14 if below else 6), fontsize=9,
                    textcoords="offset points", color=GRAY,
                )  # fmt: skip
        if TRUE in colorfulness.index:
            true = colorfulness.loc[TRUE]
            axes.axvspan(true["low"], true["high"], color=GRAY, alpha=0.15, linewidth=0)
            axes.axvline(true["mean"], color=GRAY, linewidth=1.2, linestyle="--")
            axes.annotate(
                "true photographs", (true["mean"], 0.03), (-5, 0), rotation=90, fontsize=9,
                xycoords=("data", "axes fraction"), textcoords="offset points", ha="right",
                color=GRAY,
            )  # fmt: skip
        axes.set_xlabel(axis_title(COLORFULNESS))
        axes.set_ylabel(axis_title(main))
        _legend_below(axes, columns)

    values = "; ".join(
        f"{x.Index} {COLORFULNESS.text(x.mean)}, {main.text(x.mean_y)}" for x in points.itertuples()
    )
    if TRUE in colorfulness.index:
        values += f"; true photographs {COLORFULNESS.text(colorfulness.loc[TRUE, 'mean'])}"
    alt = f"Colorfulness and {main.title} with 95 % intervals: {values}"
    return draw("trade_off", alt, 4.2 + 0.2 * lines, paint)


def training(comparison: Comparison, curves: Mapping[str, pd.DataFrame]) -> Picture | None:
    """Plot validation curves: the mean of a variant's runs, with their range.

    A second panel shows them over minutes if all runs logged their times. Returns None if no run
    was validated twice.
    """
    if all(len(curve) < 2 for curve in curves.values()):
        return None
    columns, lines = _legend_grid(list(curves))

    def lines_over(axes: Axes, amount: str, scale: float) -> None:
        for name, curve in curves.items():
            tint, amounts = color(comparison.names, name), curve[amount] / scale
            axes.plot(
                amounts, curve["mean"], "-" + marker(comparison.names, name), color=tint,
                markersize=4.5, linewidth=1.8, label=name,
            )  # fmt: skip
            axes.fill_between(
                amounts, curve["low"], curve["high"], color=tint, alpha=0.14, linewidth=0
            )

    def over_steps(axes: Axes) -> None:
        lines_over(axes, "steps", 1)
        axes.set_xlabel("optimizer steps")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
        axes.set_ylabel(axis_title(comparison.main).replace(" (", "\n("))
        _legend_below(axes, columns)

    def over_minutes(axes: Axes) -> None:
        lines_over(axes, "seconds", 60)
        axes.set_xlabel("minutes of training")

    timed = all(curve["seconds"].notna().all() for curve in curves.values())
    panels = (over_steps, over_minutes) if timed else (over_steps,)
    course = "; ".join(
        f"{name} from {_point(comparison.main, curve, 0)} to {_point(comparison.main, curve, -1)}"
        for name, curve in curves.items()
    )
    alt = f"Validation {comparison.main.title} over training: {course}"
    return draw("curves", alt, 3.5 + 0.2 * lines, *panels)


def _point(metric: MetricInfo, curve: pd.DataFrame, at: int) -> str:
    row = curve.iloc[at]
    minutes = "" if math.isnan(row.seconds) else f" ({row.seconds / 60:.1f} minutes)"
    return f"{metric.text(row['mean'])} after {row.steps:,.0f} steps{minutes}"


def _legend_grid(names: Sequence[str]) -> tuple[int, int]:
    """Return the numbers of columns and rows of a legend as wide as the plot."""
    letters = 100
    columns = max(1, min(len(names), letters // (max(map(len, names)) + 8)))
    return columns, math.ceil(len(names) / columns)


def _legend_below(axes: Axes, columns: int) -> None:
    figure, named = axes.get_figure(), axes.get_legend_handles_labels()
    assert figure is not None
    figure.legend(*named, loc="outside lower center", ncols=columns, fontsize=9)
