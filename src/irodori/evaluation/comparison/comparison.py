"""The result of a comparison of runs: its numbers, the answer in sentences, the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import neg, pos
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from irodori.evaluation.comparison.runs import REFERENCES, LeftOut
from irodori.evaluation.comparison.variants import Variant
from irodori.evaluation.document import listed
from irodori.evaluation.statistics import ENOUGH
from irodori.metrics.catalog import METRICS, MetricInfo

SHOWN = ("ciede2000", "colorfulness", "accuracy")
"""Metrics that the terminal shows in addition to the main one and the user's."""


@dataclass(frozen=True)
class Comparison:
    """Results of a comparison, sufficient for a report."""

    row: str
    """The compared checkpoints, "last" or "best"."""
    main: MetricInfo
    """The main metric."""
    variants: tuple[Variant, ...]
    keys: tuple[str, ...]
    """The keys of the photographs that all variants measured."""
    metrics: tuple[MetricInfo, ...]
    estimates: pd.DataFrame
    """Means by `variant` (or reference) and `metric`: `mean`, limits of its interval `low` and
    `high` (NaN for set metrics), number of `photographs`, and number of `seeds` of a variant."""
    differences: pd.DataFrame
    """Differences by `variant`, `other` (one of them may be a reference) and `metric`: `difference`
    of the means on the same photographs, first minus second (for metrics that are best near zero,
    of distances from zero), limits of its interval `low` and `high`, `p`, `p_corrected`, and the
    `verdict` on the first side, see `statistics.verdict`."""
    scenes: pd.DataFrame
    """Means of the main metric by `scene` and `variant` (or reference): number of `photographs`,
    `mean`, and limits of its interval `low` and `high`; empty with fewer than two scenes."""
    protocol: Mapping[str, Any]
    shards: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    """Warnings for the reader."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variants."""
        return tuple(variant.name for variant in self.variants)

    @property
    def rows(self) -> tuple[str, ...]:
        """The names of the variants and the references."""
        return (*self.names, *REFERENCES.values())

    def means(self, metric: MetricInfo) -> pd.DataFrame:
        """Return the estimates of a metric, indexed by variant or reference."""
        of_metric = self.estimates.index.get_level_values("metric") == metric.name
        return self.estimates[of_metric].droplevel("metric")

    def verdict(self, name: str, other: str, metric: str) -> str | None:
        """Return the verdict on the first of two sides; None if unknown."""
        verdict: str | None = self.differences["verdict"].get((name, other, metric))
        return verdict

    def best(self, metric: MetricInfo) -> str | None:
        """Return the variant with the best mean; None if the metric has no direction or value."""
        means = self.means(metric)["mean"]
        known = [name for name in self.names if name in means]
        if not known or metric.better == "neither":
            return None
        badness: Mapping[str, Callable[[float], float]]
        badness = {"higher": neg, "lower": pos, "near zero": abs}
        return min(known, key=lambda name: badness[metric.better](means[name]))

    def stands_out(self, name: str, metric: MetricInfo) -> bool:
        """Return whether a variant is better than all others and all references with the metric."""
        verdicts = [self.verdict(name, other, metric.name) for other in self.rows if other != name]
        others, references = verdicts[: len(self.names) - 1], verdicts[len(self.names) - 1 :]
        return bool(others) and {*others} == {"better"} and {*references} <= {"better", None}

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return `estimates`, `differences` (each pair once) and `scenes` for CSV and W&B."""
        differences = self.differences.reset_index()
        place = {name: number for number, name in enumerate(self.rows)}
        once = differences["variant"].map(place) < differences["other"].map(place)
        tables = {"estimates": self.estimates.reset_index(), "differences": differences[once]}
        return tables if self.scenes.empty else {**tables, "scenes": self.scenes.reset_index()}


def answer(comparison: Comparison) -> list[str]:
    """Return the conclusion: the best variant in the main metric, and equally good ones."""
    main = comparison.main
    best = comparison.best(main)
    if best is None:
        return [f"No variant has the {main.title}, so there is no conclusion."]
    ((mean, low, high, count, _),) = comparison.means(main).loc[[best]].itertuples(index=False)
    value = (
        f"{main.text(mean)} {main.unit}".rstrip()
        + f" (95 % interval {main.text(low)} to {main.text(high)}) on {photographs(count)}"
    )
    others = [name for name in comparison.names if name != best]
    if count < ENOUGH:
        return [
            f"The {main.title} of {listed([best])} is {value}.",
            f"{count} photographs are too few to test a difference: use at least"
            f" {ENOUGH}, better a hundred.",
        ]
    against = {comparison.verdict(best, name, main.name) for name in REFERENCES.values()}
    extreme = {"lower": "lowest", "higher": "highest"}.get(main.better, "best")
    if not others:
        sentences = [f"The {main.title} of {listed([best])} is {value}."]
    elif against <= {"better", None}:
        sentences = [f"{listed([best])} has the {extreme} {main.title}: {value}."]
    else:
        # The last sentences list what it isn't better than.
        sentences = [
            f"No variant wins. The {extreme} {main.title} is that of {listed([best])}: {value}."
        ]
    worse = [name for name in others if comparison.verdict(best, name, main.name) == "better"]
    alike = [name for name in others if name not in worse]
    if worse:
        sentences.append(f"It is significantly better than {listed(worse)}.")
        if any(variant.seeds == 1 for variant in comparison.variants):
            sentences.append(
                "This holds for these trainings: with one seed, the effect of another seed"
                " is unknown."
            )
    if alike:
        sentences.append(
            f"It can't be distinguished from {listed(alike)}: on other photographs"
            f" {'that one' if len(alike) == 1 else 'one of them'} may be the best."
        )
    return [*sentences, *_against_references(comparison)]


def _against_references(comparison: Comparison) -> list[str]:
    """Return which variants are better, worse or neither in comparison with the references.

    Equal statements about several references are merged into one sentence.
    """
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for reference in REFERENCES.values():
        verdicts: dict[str, list[str]] = {}
        for name in comparison.names:
            verdict = comparison.verdict(name, reference, comparison.main.name)
            if verdict is not None:
                verdicts.setdefault(verdict, []).append(name)
        for verdict, names in verdicts.items():
            found.setdefault((verdict, tuple(names)), []).append(reference)
    sentences = []
    count = len(comparison.names)
    everybody = {1: "It is", 2: "Both are"}.get(count, "All of them are")
    nobody = {1: "It can't", 2: "Neither can"}.get(count, "None of them can")
    for (verdict, variants), references in found.items():
        objects = listed(["all gray" if name == "gray" else f"the {name}" for name in references])
        every = variants == comparison.names
        if verdict == "not distinguishable":
            subject = nobody if every else f"{listed(variants)} can't"
            sentences.append(f"{subject} be distinguished from {objects}.")
        else:
            verb = "is" if len(variants) == 1 else "are"
            subject = everybody if every else f"{listed(variants)} {verb}"
            sentences.append(f"{subject} {verdict} than {objects}.")
    return sentences


def photographs(count: int) -> str:
    """Return the number of photographs in words."""
    return "1 photograph" if count == 1 else f"{count:,} photographs"


def show(comparison: Comparison) -> None:
    """Print the table, warnings, and the conclusion."""
    # A variant's name must not be read as markup.
    console = Console(highlight=False, markup=False, emoji=False)
    main = comparison.main
    table = Table(title="Means, the first with 95 % intervals", title_justify="left")
    table.add_column("variant", overflow="fold", min_width=12)
    table.add_column(main.title, justify="right", no_wrap=True)
    others = [m for m in comparison.metrics if m.name in SHOWN or m.name not in METRICS]
    others = [metric for metric in others if metric != main]
    for metric in others:
        table.add_column(metric.title, justify="right", overflow="fold")
    for name, mean, low, high, *_ in comparison.means(main).itertuples():
        cells = [f"{main.text(mean)} {main.text(low)}…{main.text(high)}"]
        for metric in others:
            cells.append(metric.text(comparison.means(metric)["mean"].get(name)))
        best = name in comparison.names and comparison.stands_out(name, main)
        end = name == comparison.names[-1]
        table.add_row(name, *cells, style="bold" if best else None, end_section=end)
    console.print(table)
    for warning in comparison.warnings:
        console.print(f"warning: {warning}", style="yellow")
    for left in comparison.left_out:
        console.print(f"left out: {left.folder}: {left.reason}", style="yellow")
    console.print(" ".join(answer(comparison)))
