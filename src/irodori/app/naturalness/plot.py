"""The shares of a study as a plot, the paper's beside them."""

from matplotlib.axes import Axes

from irodori.app.naturalness.results import Outcome
from irodori.app.naturalness.settings import TRUTH
from irodori.app.naturalness.words import between, percent, what
from irodori.evaluation.document import Picture
from irodori.evaluation.plotting import Theme, color, draw, label_point, label_rows, marker

PAPER = {
    "ground truth": 0.972,
    "joint network": 0.926,
    "without global features": 0.698,
}
"""Shares judged natural that the paper reported, of ten people."""


def shares_plot(outcome: Outcome) -> Picture:
    """Shares with Wilson's intervals, and (thin) those for other people and photographs."""
    shown = [one for one in outcome.shares if one.answers]
    shown.sort(key=lambda one: (one.method != TRUTH, -one.share))
    names = [one.method for one in outcome.shares if one.method != TRUTH]
    pairs = outcome.study.settings.pairs
    reported = {} if pairs else PAPER

    def paint(axes: Axes, theme: Theme) -> None:
        for place, one in enumerate(shown):
            tint = color(names, one.method, theme)
            for low, high, thick in (
                (one.wide_low, one.wide_high, 1.0),
                (one.low, one.high, 3.2),
            ):
                axes.plot(
                    [100 * low, 100 * high], [place] * 2, color=tint, linewidth=thick,
                    solid_capstyle="butt",
                )  # fmt: skip
            axes.plot(
                100 * one.share, place, marker(names, one.method), color=tint, markersize=8,
                markeredgecolor=theme.paper,
            )  # fmt: skip
            label_point(axes, percent(one.share), (100 * one.share, place))
        for place, share in enumerate(reported.values(), len(shown)):
            axes.plot(
                100 * share, place, "o", markersize=7, color=theme.reference,
                markerfacecolor="none",
            )  # fmt: skip
            label_point(axes, percent(share), (100 * share, place), color=theme.reference)
        if pairs:
            axes.axvline(50, color=theme.reference, linewidth=1, linestyle="--")
        labels = [*(one.method for one in shown), *(f"the paper: {name}" for name in reported)]
        label_rows(axes, labels)
        axes.set_xlim(-3, 103)
        axes.set_xlabel(f"{what(outcome)} (%)" + (", 50: as often as the true one" * pairs))

    said = "; ".join(
        f"{one.method} {percent(one.share)} ({between(one.low, one.high)})" for one in shown
    )
    alt = f"Share {what(outcome)} with 95 % intervals: {said}"
    if reported:
        alt += ". Reported by the paper: " + "; ".join(
            f"{name} {percent(share)}" for name, share in reported.items()
        )
    return draw("naturalness", alt, 1.0 + 0.42 * (len(shown) + len(reported)), paint)
