"""What a study can tell, said before it begins."""

from collections.abc import Sequence

from irodori.app.naturalness.study import Study
from irodori.app.naturalness.wilson import answers_for, width

PEOPLE = (5, 10, 20, 50, 100)
SHARES = (0.5, 0.9)
"""Of "natural": where intervals are widest, and where good methods are."""
WIDTHS = (0.2, 0.1, 0.05)


def expectation(study: Study) -> list[str]:
    """Lines on what each person sees, and on how many answers give which width of interval."""
    methods = len(study.judged)
    what = "pairs" if study.settings.pairs else "photographs"
    checks, minutes = study.hues + study.cards, study.settings.minutes(study.steps)
    return [
        f"each person judges {study.count} of {len(study.photographs):,} {what}; methods:"
        f" {methods}; attention checks: {checks}; minutes: about {minutes}",
        "width of the 95 % interval (Wilson) of a method's share, if answers were independent;"
        " since people and photographs differ, take more:",
        *_table(
            ("people", "answers a method", *(f"at {share:.0%}" for share in SHARES)),
            [
                (str(people), f"{answers:,}", *(_points(width(s, answers)) for s in SHARES))
                for people in PEOPLE
                if (answers := people * study.count // methods)
            ],
        ),
        "answers that a method needs: "
        + ", ".join(
            f"{answers_for(wanted, SHARES[0]):,} for {_points(wanted)} at {SHARES[0]:.0%}"
            f" ({answers_for(wanted, SHARES[1]):,} at {SHARES[1]:.0%})"
            for wanted in WIDTHS
        ),
    ]


def _points(share: float) -> str:
    """A width of 0.123 as "12.3 points"."""
    return f"{100 * share:.3g} points"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns aligned at the right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return [
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines
    ]
