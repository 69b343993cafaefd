"""Plots of reports, each for light and for dark pages."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from irodori.evaluation.document import Picture

COLORS = ("#3b76c4", "#d9822b", "#2a9d72", "#c0507f", "#8a6bbd", "#a98c2c", "#4aa3b5", "#b3543e")
"""The colors of variants, in turn; readable on light and dark pages, also for the color-blind."""
MARKERS = "osD^vP*X"
DPI = 200
WIDTH = 7.2
"""Inches."""


@dataclass(frozen=True)
class Theme:
    """The colors of a page."""

    paper: str
    ink: str
    faint: str
    reference: str


LIGHT = Theme("#ffffff", "#22252b", "#e3e5ea", "#767c88")
DARK = Theme("#1b1e24", "#e6e8ec", "#363b45", "#9aa1ad")


def draw(name: str, alt: str, height: float, *panels: Callable[[Axes, Theme], None]) -> Picture:
    """Draw panels side by side, which share their vertical axis.

    Args:
        name: of the file, without its suffix.
        alt: what is seen, for those who can't see it.
        height: inches.
        panels: each draws into its axes.
    """
    pngs = []
    for theme in (LIGHT, DARK):
        with mpl.rc_context(_style(theme)):
            figure = Figure(figsize=(WIDTH, height), layout="constrained")
            FigureCanvasAgg(figure)
            all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
            for axes, panel in zip(all_axes, panels, strict=True):
                axes.spines[["top", "right"]].set_visible(False)
                panel(axes, theme)
            file = io.BytesIO()
            figure.savefig(file, dpi=DPI, metadata={"Software": None})
        pngs.append(file.getvalue())
    return Picture(f"{name}.png", alt, pngs[0], pngs[1])


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
    """Return a variant's own color; references share one."""
    return COLORS[names.index(name) % len(COLORS)] if name in names else theme.reference


def marker(names: Sequence[str], name: str) -> str:
    """Return a variant's own marker."""
    return MARKERS[names.index(name) % len(MARKERS)] if name in names else "o"


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Make the vertical axis one of named rows, from top to bottom."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)


def label_point(axes: Axes, text: str, point: tuple[float, float], **style: Any) -> None:
    """Write a text above a point."""
    axes.annotate(text, point, (0, 8), textcoords="offset points", ha="center", fontsize=9, **style)
