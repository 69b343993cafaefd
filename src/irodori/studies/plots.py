"""The plots of a report, each for light and for dark pages."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from irodori.metrics.catalog import MAIN, METRICS
from irodori.studies.comparison import TRUE, Comparison, Estimate
from irodori.studies.curves import Curve
from irodori.studies.runs import REFERENCES
from irodori.studies.statistics import Floats

COLORS = ("#3b76c4", "#d9822b", "#2a9d72", "#c0507f", "#8a6bbd", "#a98c2c", "#4aa3b5", "#b3543e")
"""Of the variants, in turn; readable on light and on dark pages, also for the colour-blind."""
MARKERS = "osD^vP*X"
DPI = 200
WIDTH = 7.2
"""Inches."""


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    paper: str
    ink: str
    faint: str
    reference: str


LIGHT = Theme("#ffffff", "#22252b", "#e3e5ea", "#767c88")
DARK = Theme("#1b1e24", "#e6e8ec", "#363b45", "#9aa1ad")


@dataclass(frozen=True)
class Plot:
    """A PNG for each theme, and what it shows in words."""

    name: str
    light: bytes
    dark: bytes
    alt: str


def draw(name: str, alt: str, height: float, *paints: Callable[[Axes, Theme], None]) -> Plot:
    """A plot of panels side by side, which share their vertical axis.

    Args:
        name: of the file, without its end.
        alt: what is seen, for those who can't see it.
        height: inches.
        paints: each draws into the axes of a panel.
    """
    pictures = []
    for theme in (LIGHT, DARK):
        with mpl.rc_context(_style(theme)):
            canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
            FigureCanvasAgg(canvas)
            panels = canvas.subplots(1, len(paints), sharey=True, squeeze=False)[0]
            for axes, paint in zip(panels, paints, strict=True):
                axes.spines[["top", "right"]].set_visible(False)
                paint(axes, theme)
            file = io.BytesIO()
            canvas.savefig(file, dpi=DPI, metadata={"Software": None})
        pictures.append(file.getvalue())
    return Plot(name, pictures[0], pictures[1], alt)


def _style(theme: Theme) -> Any:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        # Two dollar signs in a name aren't a formula.
        "text.parse_math": False,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.reference,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.faint,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "legend.frameon": False,
    }


def color(names: Sequence[str], name: str, theme: Theme) -> str:
    """A variant's own colour; references share one."""
    return COLORS[names.index(name) % len(COLORS)] if name in names else theme.reference


def marker(names: Sequence[str], name: str) -> str:
    """A variant's own marker."""
    return MARKERS[names.index(name) % len(MARKERS)] if name in names else "o"


def axis_title(figure: str) -> str:
    """Title, unit and direction."""
    known = METRICS[figure]
    direction = "" if known.better == "neither" else f"{known.better} is better"
    if known.better == "near zero":
        direction = "best near 0"
    notes = ", ".join(note for note in (known.unit, direction) if note)
    return f"{known.title} ({notes})" if notes else known.title


def errors(comparison: Comparison) -> Plot:
    """The main figure of variants and references, with intervals: a forest plot."""
    rows = [name for name in comparison.rows if (name, MAIN) in comparison.estimates]
    rows.sort(key=lambda name: (name in REFERENCES.values(), comparison.estimates[name, MAIN].mean))
    text = METRICS[MAIN].text

    def paint(axes: Axes, theme: Theme) -> None:
        for place, name in enumerate(rows):
            estimate = comparison.estimates[name, MAIN]
            tint = color(comparison.names, name, theme)
            axes.plot(
                [estimate.low, estimate.high], [place] * 2, color=tint, linewidth=2.4,
                solid_capstyle="round",
            )  # fmt: skip
            axes.plot(
                estimate.mean, place, marker(comparison.names, name), color=tint, markersize=8,
                markeredgecolor=theme.paper,
            )  # fmt: skip
            axes.annotate(
                text(estimate.mean), (estimate.mean, place), (0, 8), textcoords="offset points",
                ha="center", fontsize=9,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.7)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(axis_title(MAIN))

    said = "; ".join(
        f"{name} {text(e.mean)} ({text(e.low)} to {text(e.high)})"
        for name, e in ((name, comparison.estimates[name, MAIN]) for name in rows)
    )
    alt = f"Chrominance RMSE with 95 % intervals: {said}"
    return draw("errors", alt, 1.0 + 0.42 * len(rows), paint)


def trade_off(comparison: Comparison) -> Plot | None:
    """Chrominance RMSE against colorfulness: pictures can be right because they are pale."""
    shown = [
        name
        for name in comparison.rows
        if {(name, MAIN), (name, "colorfulness")} <= set(comparison.estimates)
    ]
    if not shown:
        return None
    points = {
        name: (comparison.estimates[name, "colorfulness"], comparison.estimates[name, MAIN])
        for name in shown
    }
    if (TRUE, "colorfulness") in comparison.estimates:
        zero = Estimate(0.0, 0.0, 0.0, len(comparison.keys))
        points[TRUE] = (comparison.estimates[TRUE, "colorfulness"], zero)

    highest = max((points[n][1].mean for n in REFERENCES.values() if n in points), default=0.0)

    def paint(axes: Axes, theme: Theme) -> None:
        for name, (x, y) in points.items():
            tint = color(comparison.names, name, theme)
            axes.errorbar(
                x.mean, y.mean,
                xerr=_reach(x), yerr=_reach(y),
                fmt="*" if name == TRUE else marker(comparison.names, name),
                color=tint, markersize=11 if name == TRUE else 7, elinewidth=1.4,
                markeredgecolor=theme.paper, label=name,
            )  # fmt: skip
            if name not in comparison.names:
                # Gray and the mean colour lie close together: one is named above, one below.
                below = name in REFERENCES.values() and y.mean < highest
                place = (7, -14) if below else (7, 6)
                axes.annotate(
                    name, (x.mean, y.mean), place, textcoords="offset points", fontsize=9,
                    color=theme.reference,
                )  # fmt: skip
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_xlabel(axis_title("colorfulness"))
        axes.set_ylabel(axis_title(MAIN))
        handles, labels = axes.get_legend_handles_labels()
        own = [pair for pair in zip(handles, labels, strict=True) if pair[1] in comparison.names]
        axes.legend(
            *zip(*own, strict=True), loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9
        )

    said = "; ".join(f"{name} {x.mean:.1f}, {y.mean:.2f}" for name, (x, y) in points.items())
    alt = f"Colorfulness and chrominance RMSE with 95 % intervals: {said}"
    return draw("trade_off", alt, 4.2, paint)


def _reach(estimate: Estimate) -> list[list[float]]:
    """How far the interval goes below and above the mean; of equal numbers, rounding says less."""
    below, above = estimate.mean - estimate.low, estimate.high - estimate.mean
    return [[max(0.0, below)], [max(0.0, above)]]


def training(comparison: Comparison, curves: Mapping[str, Curve]) -> Plot | None:
    """Validation curves, the mean of a variant's runs with their range.

    Over steps, and beside it over minutes where all runs have noted them.
    """
    if not curves:
        return None
    columns, rows = _grid(list(curves))

    def over_steps(axes: Axes, theme: Theme) -> None:
        _lines(comparison, axes, theme, {name: (c.steps_E, c) for name, c in curves.items()})
        axes.set_xlabel("optimizer steps")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
        axes.set_ylabel(axis_title(MAIN).replace(" (", "\n("))
        canvas = axes.get_figure()
        assert canvas is not None
        canvas.legend(loc="outside lower center", ncols=columns, fontsize=9)

    def over_minutes(axes: Axes, theme: Theme) -> None:
        _lines(comparison, axes, theme, {name: (x, curves[name]) for name, x in minutes.items()})
        axes.set_xlabel("minutes of training")

    minutes = {name: c.seconds_E / 60 for name, c in curves.items() if c.seconds_E is not None}
    timed = len(minutes) == len(curves)
    paints = (over_steps, over_minutes) if timed else (over_steps,)
    alt = f"Validation chrominance RMSE over training: {_course(curves)}"
    return draw("curves", alt, 3.5 + 0.2 * rows, *paints)


def _grid(names: Sequence[str]) -> tuple[int, int]:
    """Columns and rows of a legend that is as wide as the plot."""
    letters = 100
    columns = max(1, min(len(names), letters // (max(map(len, names)) + 8)))
    return columns, math.ceil(len(names) / columns)


def _lines(
    comparison: Comparison, axes: Axes, theme: Theme, lines: Mapping[str, tuple[Floats, Curve]]
) -> None:
    """Of each variant its curve over these amounts; only the first panel's are in a legend."""
    for name, (amounts_E, curve) in lines.items():
        tint = color(comparison.names, name, theme)
        axes.plot(
            amounts_E, curve.mean_E, "-" + marker(comparison.names, name), color=tint,
            markersize=4.5, linewidth=1.8, label=name,
        )  # fmt: skip
        axes.fill_between(amounts_E, curve.low_E, curve.high_E, color=tint, alpha=0.14, linewidth=0)


def _course(curves: Mapping[str, Curve]) -> str:
    """Where each curve begins and ends, in words."""

    def point(curve: Curve, at: int) -> str:
        seconds_E = curve.seconds_E
        minutes = "" if seconds_E is None else f" ({seconds_E[at] / 60:.1f} minutes)"
        return f"{curve.mean_E[at]:.2f} after {curve.steps_E[at]:,.0f} steps{minutes}"

    return "; ".join(
        f"{name} from {point(curve, 0)} to {point(curve, -1)}" for name, curve in curves.items()
    )
