"""The answer of a comparison in sentences."""

from collections.abc import Sequence

from irodori.metrics.catalog import MAIN, METRICS
from irodori.studies.comparison import Comparison
from irodori.studies.runs import REFERENCES
from irodori.studies.statistics import ENOUGH

FIGURE = METRICS[MAIN]


def answer(comparison: Comparison) -> list[str]:
    """Which variant is best in the main figure, and from which others it can be told."""
    best = comparison.best(FIGURE)
    if best is None:
        return [f"No variant has the {FIGURE.title}, so there is no answer."]
    estimate = comparison.estimates[best, MAIN]
    count = estimate.photographs
    value = (
        f"{FIGURE.text(estimate.mean)} {FIGURE.unit} (95 % interval {FIGURE.text(estimate.low)} to"
        f" {FIGURE.text(estimate.high)}) on {photographs(count)}"
    )
    others = [name for name in comparison.names if name != best]
    sentences = [
        f"{listed([best])} has the lowest {FIGURE.title}: {value}."
        if others
        else f"The {FIGURE.title} of {listed([best])} is {value}."
    ]
    if count < ENOUGH:
        return [
            *sentences,
            f"{count} photographs are too few to tell whether a difference is real: take at least"
            f" {ENOUGH}, better a hundred.",
        ]
    worse = [name for name in others if _verdict(comparison, best, name) == "better"]
    alike = [name for name in others if name not in worse]
    if worse:
        sentences.append(
            f"It is better than {listed(worse)}, and the difference is more than chance."
        )
    if alike:
        sentences.append(
            f"It can't be told apart from {listed(alike)}: on other photographs"
            f" {'that one' if len(alike) == 1 else 'one of them'} may as well come first."
        )
    return [*sentences, *_against_references(comparison)]


def _verdict(comparison: Comparison, one: str, other: str) -> str | None:
    difference = comparison.between(one, other, MAIN)
    return None if difference is None else difference.verdict


def _against_references(comparison: Comparison) -> list[str]:
    """What has to be said of variants that are no better than pictures without a network."""
    names = comparison.names
    failing: dict[str, list[str]] = {}
    for reference in REFERENCES.values():
        if (reference, MAIN) in comparison.estimates:
            failing[reference] = [
                name for name in names if _verdict(comparison, name, reference) != "better"
            ]
    beaten = [reference for reference, by in failing.items() if not by]
    subject = {1: "It", 2: "Both"}.get(len(names), "All of them")
    sentences = []
    if beaten:
        verb = "is" if len(names) == 1 else "are"
        sentences.append(f"{subject} {verb} better than {listed(_said(beaten))}.")
    for variants in dict.fromkeys(tuple(by) for by in failing.values() if by):
        verb = "is" if len(variants) == 1 else "are"
        unbeaten = [reference for reference, by in failing.items() if tuple(by) == variants]
        sentences.append(
            f"{listed(variants)} {verb} not distinguishably better than {listed(_said(unbeaten))}."
        )
    return sentences


def _said(references: Sequence[str]) -> list[str]:
    return [{"gray": "all gray", "mean colour": "the mean colour"}[name] for name in references]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, in quotes where one holds a comma."""
    if any("," in name for name in names):
        names = [f"“{name}”" for name in names]
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def photographs(count: int) -> str:
    """So many photographs."""
    return "1 photograph" if count == 1 else f"{count:,} photographs"
