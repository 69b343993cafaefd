"""Reports of a study's results: terminal, HTML, Markdown, CSV and JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table as TerminalTable

from irodori.app.naturalness.results import Agreement, Difference, Interval, Outcome, Share
from irodori.app.naturalness.study import TRUTH
from irodori.evaluation import document
from irodori.evaluation.document import Block, Cell, Document, Heading, List, Picture, Table, Text
from irodori.evaluation.plotting import GRAY, color, draw, label_point, label_rows, marker
from irodori.evaluation.statistics import ENOUGH

PAPER = {"ground truth": 0.972, "joint network": 0.926, "without global features": 0.698}
"""Shares judged natural as the paper reports them, with ten people."""
HOW_MEASURED = (
    "Thick lines are Wilson's intervals, which treat all answers as independent. Thin lines, the"
    " last column, generalize to other people and photographs: their variance accounts for the"
    " two-way clustering (Cameron, Gelbach and Miller 2011). Agreement is Krippendorff's α on the"
    " same picture: 1 is perfect, 0 is chance."
)
HOW_REPORTED = (
    "Circles are the paper's results, with ten people and other photographs: compare the"
    " distances, not the values."
)
HOW_TESTED = (
    "Two paired sign-flip permutation tests, of each person's and of each photograph's difference"
    " of shares; in parentheses, how many answered for both methods. The larger p counts, since"
    " a difference must hold for people and for photographs (Clark 1973), and it is corrected for"
    " the number of pairs by Holm's procedure. Higher and lower: corrected p < 0.05, and the"
    f" interval excludes 0. With fewer than {ENOUGH} people or photographs nothing is tested."
)
CONCLUSIONS = {
    ("higher", "lower"): "The difference from {} is significant.",
    ("not distinguishable",): "It can't be distinguished from {}.",
    ("too few people", "too few photographs"): (
        "There are too few people or photographs to test the difference from {}."
    ),
}


def show(outcome: Outcome) -> None:
    """Print the table, the dropped answers, and the conclusion."""
    # A method's name must not be read as markup.
    console = Console(highlight=False, markup=False, emoji=False)
    table = TerminalTable(title=f"Share {_subject(outcome)}", title_justify="left")
    rows = list(map(_share_row, outcome.shares))
    method, *numbers = list(rows[0])[:4]
    table.add_column(method, overflow="fold", min_width=12)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*list(row.values())[:4])
    console.print(table)
    for line in (_people(outcome), _dropped(outcome), _answer(outcome)):
        console.print(line)


def write_report(outcome: Outcome, output: Path) -> Path:
    """Write report.html, report.md, naturalness.png, results.json, answers.csv.

    Raises:
        IrodoriError: they can't be written.
    """
    results = json.dumps(as_data(outcome), indent=2) + "\n"
    files = {"results.json": results.encode(), "answers.csv": answers_csv(outcome)}
    return document.write_report(_document(outcome), files, output)


def as_data(outcome: Outcome) -> dict[str, Any]:
    """Return all results as plain types, unrounded; None for undefined values."""
    data = {
        "settings": asdict(outcome.study.settings),
        "criteria": asdict(outcome.criteria),
        "people": outcome.people,
        "checks": outcome.checks,
        "answers": outcome.counts,
        "shares": list(map(asdict, outcome.shares)),
        "differences": list(map(asdict, outcome.differences)),
        "agreement": asdict(outcome.agreement),
    }
    # JSON has no NaN.
    plain: dict[str, Any] = json.loads(json.dumps(data), parse_constant=lambda name: None)
    return plain


def answers_csv(outcome: Outcome) -> bytes:
    """Return a CSV with one row per answer to a photograph, in order of arrival, without codes.

    Columns: person (number), place (position in the person's order), photograph, method, natural
    (or taken_for_real: 0 or 1), viewed and latency in milliseconds, showings, dropped (reason or
    empty).
    """
    study, answers = outcome.study, outcome.answers
    columns = ["person", "place", "photograph", "method", "natural", "viewed", "latency"]
    table = answers[[*columns, "showings", "dropped"]].assign(
        photograph=[study.photographs[number] for number in answers.photograph],
        method=[study.methods[number] for number in answers.method],
        natural=answers.natural.astype(int),
    )
    natural = "taken_for_real" if study.settings.pairs else "natural"
    text: str = table.rename(columns={"natural": natural}).to_csv(index=False)
    return text.encode("utf-8", "replace")


def _document(outcome: Outcome) -> Document:
    pairs = outcome.study.settings.pairs
    title = "Which photograph is real?" if pairs else "Do the photographs look natural?"
    blocks: list[Block] = [Text(_answer(outcome), "answer")]
    if any(outcome.counts["dropped"].values()):
        blocks.append(Text(_dropped(outcome), "warning"))
    blocks += [Heading(f"Share {_subject(outcome)}"), shares_plot(outcome)]
    blocks += [_table(list(map(_share_row, outcome.shares))), Text(HOW_MEASURED, "note")]
    if not pairs:
        blocks.append(Text(HOW_REPORTED, "note"))
    if outcome.differences:
        table = _table(list(map(_difference_row, outcome.differences)))
        blocks += [Heading("Differences between methods"), table, Text(HOW_TESTED, "note")]
    texts = (_people(outcome), _dropped(outcome), _agreed(outcome))
    blocks += [Heading("People and answers"), *map(Text, texts)]
    return Document(title, [*blocks, Heading("Protocol"), List(_protocol(outcome))])


def shares_plot(outcome: Outcome) -> Picture:
    """Plot shares with Wilson's intervals and (thin) intervals for other people and photographs."""
    shares = [share for share in outcome.shares if share.answers]
    shares.sort(key=lambda share: (share.method != TRUTH, -share.share))
    names = [share.method for share in outcome.shares if share.method != TRUTH]
    pairs = outcome.study.settings.pairs
    reported = {} if pairs else PAPER

    def paint(axes: Axes) -> None:
        for y, share in enumerate(shares):
            style: dict[str, Any] = {"color": color(names, share.method)}
            for (low, high), width in ((share.clustered, 1.0), (share.wilson, 3.2)):
                line = [100 * low, 100 * high]
                axes.plot(line, [y, y], linewidth=width, solid_capstyle="butt", **style)
            style |= {"markersize": 8, "markeredgecolor": "white"}
            axes.plot(100 * share.share, y, marker(names, share.method), **style)
            label_point(axes, _percent(share.share), (100 * share.share, y))
        style = {"color": GRAY}
        for y, value in enumerate(reported.values(), len(shares)):
            axes.plot(100 * value, y, "o", markersize=7, markerfacecolor="none", **style)
            label_point(axes, _percent(value), (100 * value, y), **style)
        if pairs:
            axes.axvline(50, linewidth=1, linestyle="--", **style)
        label_rows(
            axes, [*(s.method for s in shares), *(f"the paper: {name}" for name in reported)]
        )
        axes.set_xlim(-3, 103)
        axes.set_xlabel(f"{_subject(outcome)} (%)" + (", 50: as often as the true one" * pairs))

    values = "; ".join(f"{s.method} {_percent(s.share)} ({_wilson(s)})" for s in shares)
    alt = f"Share {_subject(outcome)} with 95 % intervals: {values}"
    if reported:
        values = "; ".join(f"{name} {_percent(share)}" for name, share in reported.items())
        alt += f". Reported by the paper: {values}"
    return draw("naturalness", alt, 1.0 + 0.42 * (len(shares) + len(reported)), paint)


def _table(rows: Sequence[dict[str, str]]) -> Table:
    """Return a table whose header has the rows' keys, the first one left blank."""
    return Table(["", *list(rows[0])[1:]], [list(map(Cell, row.values())) for row in rows])


def _share_row(share: Share) -> dict[str, str]:
    return {
        "method": share.method,
        "share": _percent(share.share),
        "95 % (Wilson)": _wilson(share),
        "answers": f"{share.answers:,}",
        "agreement α": _alpha(share.agreement),
        "other people, photos": _interval(share.clustered),
    }


def _difference_row(found: Difference) -> dict[str, str]:
    return {
        "methods": f"{found.one} less {found.other}",
        "difference, points": f"{100 * found.difference:+.1f}",
        "95 %": _interval(found.interval),
        "p (people)": f"{_p(found.p_people)} ({found.people:,})",
        "p (photographs)": f"{_p(found.p_photographs)} ({found.photographs:,})",
        "p, corrected": _p(found.p_corrected),
        "verdict": found.verdict,
    }


def _protocol(outcome: Outcome) -> list[tuple[str, str]]:
    study, criteria = outcome.study, outcome.criteria
    settings = study.settings
    question = (
        "a method's picture beside the true photograph, sides at random: which one is real?"
        if settings.pairs
        else "one picture at a time: natural or not natural?"
    )
    early = "dropped" if criteria.complete else "kept: methods are balanced at any position"
    return [
        ("Question", question),
        (
            "Who sees what",
            f"each person: {study.count:,} of {len(study.photographs):,} photographs, each once, in"
            f" one of {len(study.judged)} methods by a Latin square over people, in random order;"
            f" {study.hues + study.cards} attention checks between them",
        ),
        (
            "Pictures",
            f"all of a photograph at one size, longer side at most {settings.size} pixels, not"
            f" enlarged; JPEGs encoded alike; shown for {settings.seconds:g} s, answers possible"
            f" after {settings.minimum:g} s",
        ),
        (
            "Dropped",
            f"answers after less than {criteria.minimum:g} s of viewing, and those of people who"
            f" passed fewer than {criteria.passed:.0%} of the attention checks; answers of people"
            f" who left before the end are {early}",
        ),
    ]


def _answer(outcome: Outcome) -> str:
    """Return the conclusion: the most natural method, and which others differ from it."""
    shares = [share for share in outcome.shares if share.answers]
    if not shares:
        return "No answer counts yet."
    truth = next((share for share in shares if share.method == TRUTH), None)
    methods = [share for share in shares if share is not truth]
    sentences = [f"The true photographs were {_in_words(truth, outcome)}."] if truth else []
    if not methods:
        return sentences[0]
    best = max(methods, key=lambda share: share.share)
    most = " most often" if len(methods) > 1 else ""
    of = "The pictures" if truth is None else "Among the colorized pictures, those"
    sentences.append(f"{of} of {best.method} were{most} {_in_words(best, outcome)}.")
    for verdicts, sentence in CONCLUSIONS.items():
        others = [
            found.other if found.one == best.method else found.one
            for found in outcome.differences
            if best.method in (found.one, found.other) and found.verdict in verdicts
        ]
        if others:
            sentences.append(sentence.format(document.listed(others)))
    return " ".join(sentences)


def _in_words(share: Share, outcome: Outcome) -> str:
    return (
        f"{_subject(outcome)} in {_percent(share.share)} of {share.answers:,} answers (95 %"
        f" interval {_wilson(share)})"
    )


def _dropped(outcome: Outcome) -> str:
    """Return how many answers don't count, and why."""
    counts = outcome.counts
    reasons = [f"{count:,} {reason}" for reason, count in counts["dropped"].items() if count]
    dropped = f"; dropped: {', '.join(reasons)}" if reasons else ""
    return f"{counts['counted']:,} of {counts['given']:,} answers count{dropped}."


def _people(outcome: Outcome) -> str:
    """Return how many people took part, and their results in the attention checks."""
    text = (
        "People: {began:,} began, {answered:,} gave answers, {finished:,} reached the end,"
        " {failed_checks:,} failed the attention checks".format(**outcome.people)
    )
    return text + "; {passed:,} of {answered:,} checks were passed.".format(**outcome.checks)


def _agreed(outcome: Outcome) -> str:
    found = outcome.agreement
    if not found.pictures:
        return "No picture was judged by two people, so agreement can't be measured."
    return (
        f"{found.pictures:,} pictures were judged by two people or more; two of them agree in"
        f" {_percent(found.share)} of cases, Krippendorff's α is {_alpha(found)}."
    )


def _subject(outcome: Outcome) -> str:
    """Return in words what the shares measure."""
    return "taken for real" if outcome.study.settings.pairs else "judged natural"


def _percent(share: float) -> str:
    return _number(share, f"{100 * share:.1f} %")


def _interval(interval: Interval) -> str:
    low, high = interval
    return _number(low, f"{100 * low:.1f} … {100 * high:.1f}")


def _wilson(share: Share) -> str:
    return _interval(share.wilson) if share.answers else "–"


def _alpha(found: Agreement) -> str:
    return _number(found.alpha, f"{found.alpha:.2f}")


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else _number(p, f"{p:.3f}")


def _number(value: float, text: str) -> str:
    """Return the formatted value, unless it is NaN."""
    return "–" if math.isnan(value) else text
