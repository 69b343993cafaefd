"""Plotting for reports."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irodori.evaluation.document import Picture

COLORS = ("#3b76c4", "#d9822b", "#2a9d72", "#c0507f", "#8a6bbd", "#a98c2c", "#4aa3b5", "#b3543e")
"""Color cycle of variants, distinguishable with color blindness."""
MARKERS = "osD^vP*X"
DPI = 200
WIDTH = 7.2
"""Width of plots in inches."""


GRAY = "#767c88"
"""Color of references."""
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    # Dollar signs in a name don't start a formula.
    "text.parse_math": False,
    "axes.edgecolor": GRAY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e5ea",
    "legend.frameon": False,
}


def draw(name: str, alt: str, height: float, *panels: Callable[[Axes], None]) -> Picture:
    """Draw panels side by side with a shared vertical axis.

    Args:
        name: file name without suffix.
        alt: alternative text.
        height: height in inches.
        panels: functions that draw into axes.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(all_axes, panels, strict=True):
            panel(axes)
        file = io.BytesIO()
        figure.savefig(file, dpi=DPI, metadata={"Software": None})
    return Picture(f"{name}.png", alt, file.getvalue())


def color(names: Sequence[str], name: str) -> str:
    """Return the color of a variant; references share one."""
    return COLORS[names.index(name) % len(COLORS)] if name in names else GRAY


def marker(names: Sequence[str], name: str) -> str:
    """Return the marker of a variant."""
    return MARKERS[names.index(name) % len(MARKERS)] if name in names else "o"


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows of the vertical axis, from top to bottom."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)


def label_point(axes: Axes, text: str, point: tuple[float, float], **style: Any) -> None:
    """Write a text above a point."""
    axes.annotate(text, point, (0, 8), textcoords="offset points", ha="center", fontsize=9, **style)
