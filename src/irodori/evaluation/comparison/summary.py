"""The conclusion of a comparison in sentences, and its output in the terminal."""

from rich.console import Console
from rich.table import Table

from irodori.evaluation.comparison.comparison import Comparison
from irodori.evaluation.comparison.runs import REFERENCES
from irodori.evaluation.document import listed
from irodori.evaluation.statistics import ENOUGH
from irodori.metrics.catalog import METRICS

SHOWN = ("ciede2000", "colorfulness", "accuracy")
"""Metrics that the terminal shows in addition to the main one and the user's."""


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
