"""The results of a study: in the terminal, as a page, as Markdown, as data."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Printed

from irodori.app.naturalness.agreement import Agreement
from irodori.app.naturalness.plot import PAPER, shares_plot
from irodori.app.naturalness.results import Difference, Outcome, Share
from irodori.app.naturalness.words import answer, between, dropped, people, percent, what
from irodori.evaluation import document
from irodori.evaluation.document import Block, Cell, Document, Heading, List, Picture, Table, Text
from irodori.evaluation.statistics import ENOUGH


def show(outcome: Outcome) -> None:
    """Print the table, what was dropped, and the answer."""
    # A method's name isn't markup, whatever it looks like.
    console = Console(highlight=False, markup=False, emoji=False)
    table = Printed(title=f"Share {what(outcome)}", title_justify="left")
    table.add_column("method", overflow="fold", min_width=12)
    for title in ("share", "95 % (Wilson)", "answers"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in outcome.shares:
        interval = between(one.low, one.high) if one.answers else "–"
        table.add_row(one.method, percent(one.share), interval, f"{one.answers:,}")
    console.print(table)
    for line in (people(outcome), dropped(outcome), " ".join(answer(outcome))):
        console.print(line)


def write_report(outcome: Outcome, output: Path) -> Path:
    """Write report.html, report.md, naturalness.png, results.json, answers.csv.

    Raises:
        IrodoriError: they can't be written.
    """
    files = {
        "results.json": (json.dumps(as_data(outcome), indent=2) + "\n").encode(),
        "answers.csv": answers_csv(outcome),
    }
    return document.write_report(_document(outcome, shares_plot(outcome)), files, output)


def _document(outcome: Outcome, picture: Picture) -> Document:
    pairs = outcome.study.settings.pairs
    title = "Which photograph is real?" if pairs else "Do the photographs look natural?"
    blocks: list[Block] = [Text(" ".join(answer(outcome)), "answer")]
    if outcome.counted < len(outcome.judged):
        blocks.append(Text(dropped(outcome), "warning"))
    blocks += [Heading(f"Share {what(outcome)}"), picture, _shares(outcome), Text(BELOW, "note")]
    if outcome.differences:
        blocks += [Heading("Differences between methods"), _differences(outcome)]
        blocks.append(Text(_how_tested(), "note"))
    blocks += [Heading("People and answers"), Text(people(outcome)), Text(_agreed(outcome))]
    blocks += [_drops(outcome), *_reported(pairs), Heading("Protocol"), List(_protocol(outcome))]
    return Document(title, blocks)


BELOW = (
    "Thick lines are Wilson's intervals, which take all answers as independent. Thin lines, the"
    " last column, are for other people and other photographs, by a variance that knows which"
    " answers share them (Cameron, Gelbach and Miller 2011). Agreement is Krippendorff's α on the"
    " same picture: 1 is perfect, 0 is chance."
)


def _shares(outcome: Outcome) -> Table:
    header = ["", what(outcome), "answers", "95 % (Wilson)", "agreement α", "other people, photos"]
    return Table(
        header,
        [
            [
                Cell(one.method),
                Cell(percent(one.share)),
                Cell(f"{one.answers:,}"),
                Cell(between(one.low, one.high) if one.answers else "–"),
                Cell(_alpha(one.agreement)),
                Cell(between(one.wide_low, one.wide_high)),
            ]
            for one in outcome.shares
        ],
    )


def _alpha(found: Agreement) -> str:
    return "–" if math.isnan(found.alpha) else f"{found.alpha:.2f}"


def _differences(outcome: Outcome) -> Table:
    return Table(
        ["", "difference, points", "95 %", "p (people)", "p (photographs)", "p, corrected", ""],
        [
            [
                Cell(f"{one.one} less {one.other}"),
                Cell(f"{100 * one.difference:+.1f}"),
                Cell(between(one.low, one.high)),
                Cell(_p(one.tests.p_people), f"{one.tests.people:,} people"),
                Cell(_p(one.tests.p_photographs), f"{one.tests.photographs:,} photographs"),
                Cell(_p(one.p_corrected)),
                Cell(one.verdict, tone="even" if one.verdict not in ("higher", "lower") else ""),
            ]
            for one in outcome.differences
        ],
    )


def _p(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _how_tested() -> str:
    return (
        "Two paired sign-flip permutation tests, of each person's and of each photograph's"
        " difference of shares; the larger p counts, since a difference shall hold for people and"
        " for photographs (Clark 1973), and it is corrected for the number of pairs by Holm's"
        " procedure. Higher and lower: corrected p < 0.05, and the interval is without 0. With"
        f" fewer than {ENOUGH} people or photographs nothing is told apart."
    )


def _agreed(outcome: Outcome) -> str:
    found = outcome.agreement
    if not found.pictures:
        return "No picture was judged by two people, so nothing is known of their agreement."
    return (
        f"{found.pictures:,} pictures were judged by two people or more; two of them agree in"
        f" {percent(found.share)} of cases, Krippendorff's α is {_alpha(found)}."
    )


def _drops(outcome: Outcome) -> Table:
    rows = [
        ("given", len(outcome.judged)),
        *((f"dropped: {reason}", count) for reason, count in outcome.dropped.items()),
        ("counted", outcome.counted),
    ]
    return Table(
        ["answers to photographs", ""], [[Cell(name), Cell(f"{count:,}")] for name, count in rows]
    )


def _reported(pairs: bool) -> list[Block]:
    if pairs:
        return []
    return [
        Heading("What the paper reported"),
        Table(
            ["", "judged natural"],
            [[Cell(name), Cell(percent(share))] for name, share in PAPER.items()],
        ),
        Text("Ten people, other photographs: compare the distances, not the numbers.", "note"),
    ]


def _protocol(outcome: Outcome) -> list[tuple[str, str]]:
    study, criteria = outcome.study, outcome.criteria
    settings = study.settings
    asked = (
        "a method's picture beside the true photograph, sides at random: which one is real?"
        if settings.pairs
        else "one picture at a time: natural or not natural?"
    )
    kept = "dropped" if criteria.complete else "kept: methods are balanced at any place"
    return [
        ("Question", asked),
        (
            "Who sees what",
            f"each person {study.count:,} of {len(study.photographs):,} photographs, each once, in"
            f" one of {len(study.judged)} methods by a Latin square over people, in random order;"
            f" {study.hues + study.cards} attention checks between them",
        ),
        (
            "Pictures",
            f"of one photograph all of one size, longer side at most {settings.size} pixels, never"
            " enlarged; JPEGs made alike",
        ),
        (
            "Times",
            f"shown for {settings.seconds:g} s; answers possible after {settings.minimum:g} s",
        ),
        (
            "Dropped",
            f"answers after less than {criteria.minimum:g} s of viewing, and those of people who"
            f" passed fewer than {criteria.passed:.0%} of the attention checks; answers of people"
            f" who left before the end are {kept}",
        ),
    ]


def as_data(outcome: Outcome) -> dict[str, Any]:
    """All figures in plain types, not rounded; None where one isn't defined."""
    who = outcome.people
    return {
        "pairs": outcome.study.settings.pairs,
        "shares": [_share_data(one) for one in outcome.shares],
        "differences": [_difference_data(one) for one in outcome.differences],
        "agreement": _agreement_data(outcome.agreement),
        "people": {
            "began": who.began,
            "answered": who.answered,
            "finished": who.finished,
            "failed_checks": who.failed,
        },
        "checks": {"answered": outcome.checks[0], "passed": outcome.checks[1]},
        "answers": {
            "given": len(outcome.judged),
            "counted": outcome.counted,
            "dropped": outcome.dropped,
        },
        "criteria": {
            "minimum": outcome.criteria.minimum,
            "passed": outcome.criteria.passed,
            "complete": outcome.criteria.complete,
        },
        "settings": outcome.study.settings.described(),
    }


def _share_data(one: Share) -> dict[str, Any]:
    return {
        "method": one.method,
        "share": _number(one.share),
        "answers": one.answers,
        "natural": one.natural,
        "wilson": [one.low, one.high],
        "other_people_and_photographs": [_number(one.wide_low), _number(one.wide_high)],
        "agreement": _agreement_data(one.agreement),
    }


def _difference_data(one: Difference) -> dict[str, Any]:
    return {
        "one": one.one,
        "other": one.other,
        "difference": one.difference,
        "interval": [_number(one.low), _number(one.high)],
        "p_people": _number(one.tests.p_people),
        "p_photographs": _number(one.tests.p_photographs),
        "p_corrected": _number(one.p_corrected),
        "people": one.tests.people,
        "photographs": one.tests.photographs,
        "verdict": one.verdict,
    }


def _agreement_data(found: Agreement) -> dict[str, Any]:
    return {
        "alpha": _number(found.alpha),
        "share": _number(found.share),
        "pictures": found.pictures,
        "answers": found.answers,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def answers_csv(outcome: Outcome) -> bytes:
    """A row an answer to a photograph, in the order in which they came, with no code in it.

    Columns: person (number), place in their order, photograph, method, natural (or taken for real:
    0 or 1), viewed and latency in milliseconds, showings, dropped (why, or empty).
    """
    study = outcome.study
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = ["person", "place", "photograph", "method", "natural", "viewed", "latency"]
    columns[4] = "taken_for_real" if study.settings.pairs else "natural"
    writer.writerow([*columns, "showings", "dropped"])
    for one in outcome.judged:
        given = one.given
        writer.writerow(
            [
                given.person,
                given.place,
                study.photographs[given.question.photograph],
                study.methods[given.question.method],
                int(one.natural),
                given.viewed,
                given.latency,
                given.showings,
                one.dropped,
            ]
        )
    return text.getvalue().encode("utf-8", "replace")
