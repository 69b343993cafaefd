"""The report of a comparison: its sections, and the files that it is written to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irodori.metrics.catalog import MAIN, METRICS, MetricInfo
from irodori.studies import plots
from irodori.studies.comparison import TRUE, Comparison, Estimate
from irodori.studies.curves import curves
from irodori.studies.document import Block, Cell, Document, Heading, List, Picture, Table, Text
from irodori.studies.html import html
from irodori.studies.markdown import markdown
from irodori.studies.statistics import ENOUGH, RESAMPLES
from irodori.studies.tables import as_csv, tables, training_table
from irodori.studies.training import training_section
from irodori.studies.variants import Variant, differing
from irodori.studies.words import answer, photographs
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

ARROWS = {"lower": " ↓", "higher": " ↑", "near zero": " → 0", "neither": ""}


@dataclass(frozen=True)
class Report:
    """A document and the files of its pictures and tables."""

    document: Document
    files: dict[str, bytes]
    """By name; the document's own are not among them."""


def make_report(
    comparison: Comparison, title: str | None, pictures: int, trust: Sequence[str] = ()
) -> Report:
    """Draw the plots, colour the pictures and put the sections together.

    Args:
        comparison: see `compare`.
        title: of the report.
        pictures: photographs in the grid; 0 makes none.
        trust: names of packages besides irodori whose classes checkpoints may name.

    Raises:
        IrodoriError: a metrics.csv is damaged.
    """
    drawn = [
        ("How large the errors are", plots.errors(comparison)),
        ("Errors and colorfulness", plots.trade_off(comparison)),
    ]
    blocks: list[Block] = [Text(" ".join(answer(comparison)), "answer")]
    blocks += [Text(warning, "warning") for warning in comparison.warnings]
    if comparison.left_out:
        count = len(comparison.left_out)
        runs = "1 run is" if count == 1 else f"{count} runs are"
        blocks.append(Text(f"{runs} left out: see the end.", "warning"))
    blocks += [Heading("Figures"), figure_table(comparison), Text(_how_to_read(comparison), "note")]
    if len(comparison.variants) > 1:
        blocks += [Heading(f"Who is better in {METRICS[MAIN].title}"), verdict_table(comparison)]
        blocks.append(
            Text(
                "Each row against each column, as difference of the means; below it p, corrected"
                " for the number of pairs. Better and worse: corrected p < 0.05, and the interval"
                " of the difference is without 0.",
                "note",
            )
        )
    files: dict[str, bytes] = {}
    for heading, plot in drawn:
        blocks.append(Heading(heading))
        if plot is None:
            blocks.append(Text("The runs hold no figures for this plot.", "note"))
            continue
        file = f"{plot.name}.png"
        files[file] = plot.light
        blocks.append(Picture(file, plot.alt, plot.light, plot.dark))
        blocks.append(Text(BELOW[plot.name], "note"))
    trained = curves(comparison.variants)
    blocks += training_section(comparison, trained, files)
    if pictures:
        blocks += _pictures(comparison, pictures, trust, files)
    blocks += [*_cost(comparison), *_protocol(comparison), *_configuration(comparison)]
    if comparison.left_out:
        said = [(str(left.folder), left.reason) for left in comparison.left_out]
        blocks += [Heading("Left out"), List(said)]
    for name, table in tables(comparison).items():
        files[f"{name}.csv"] = as_csv(table)
    if trained:
        files["training.csv"] = as_csv(training_table(trained))
    return Report(Document(title or "Comparison of colorizations", blocks), files)


BELOW = {
    "errors": "Points are means, lines 95 % intervals. Intervals of two variants may overlap and"
    " the variants still differ, since both have coloured the same photographs: the table above"
    " says which do.",
    "trade_off": "Pale pictures err less than vivid ones that are wrong: good pictures are near the"
    " truth in both.",
}


def figure_table(comparison: Comparison) -> Table:
    """A row a figure, a column a variant or reference."""
    names = comparison.rows
    if any(name == TRUE for name, _ in comparison.estimates):
        names = (*names, TRUE)
    return Table(
        ["", *names],
        [
            [
                Cell(figure.title + ARROWS[figure.better], figure.unit),
                *(_figure_cell(comparison, name, figure) for name in names),
            ]
            for figure in comparison.figures
        ],
    )


def _figure_cell(comparison: Comparison, name: str, figure: MetricInfo) -> Cell:
    estimate = comparison.estimates.get((name, figure.name))
    if estimate is None:
        return Cell(figure.text(None))
    strong = name == comparison.best(figure) and comparison.stands_out(name, figure)
    return Cell(_number(figure, estimate.mean), _limits(figure, estimate), strong)


def _number(figure: MetricInfo, value: float) -> str:
    """The value with a minus as wide as a plus."""
    return figure.text(value).replace("-", "−")


def _limits(figure: MetricInfo, estimate: Estimate) -> str:
    if np.isnan(estimate.low):
        return ""
    return f"{_number(figure, estimate.low)} … {_number(figure, estimate.high)}"


def _how_to_read(comparison: Comparison) -> str:
    said = "Means with 95 % intervals below."
    if len(comparison.variants) > 1:
        said += (
            " Bold: the best, where it can be told apart from every other variant; where nothing is"
            " bold, the figure names no winner."
        )
    if any(variant.seeds == 1 for variant in comparison.variants):
        said += (
            " Where a variant was trained with one seed only, its interval says how the figure"
            " would vary with the photographs, and not how it would vary with another seed."
        )
    return said


def verdict_table(comparison: Comparison) -> Table:
    """A row a variant, a column a variant or reference: difference and verdict of the row."""
    columns = [name for name in comparison.rows if (name, MAIN) in comparison.estimates]
    return Table(
        ["", *columns],
        [
            [Cell(name), *(_verdict_cell(comparison, name, other) for other in columns)]
            for name in comparison.names
        ],
    )


def _verdict_cell(comparison: Comparison, name: str, other: str) -> Cell:
    difference = comparison.between(name, other, MAIN)
    if difference is None:
        return Cell("" if name == other else "–")
    value = _number(METRICS[MAIN], difference.difference)
    sign = "+" if difference.difference > 0 else ""
    p = difference.p_corrected
    note = f"{sign}{value}, p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    match difference.verdict:
        case "better":
            return Cell("better", note, tone="good")
        case "worse":
            return Cell("worse", note, tone="bad")
        case verdict:
            return Cell(verdict, note, tone="even")


def _pictures(
    comparison: Comparison, count: int, trust: Sequence[str], files: dict[str, bytes]
) -> list[Block]:
    # Imported here: this brings torch.
    from irodori.studies.pictures import picture_grid

    grid = picture_grid(comparison, count, trust)
    blocks: list[Block] = [Heading("Pictures")]
    if grid.png is not None:
        files["pictures.png"] = grid.png
        alt = f"{photographs(len(grid.keys))} as rows: {', '.join(grid.columns)} as columns"
        width = 110 * len(grid.columns)
        blocks.append(Picture("pictures.png", alt, grid.png, least_width=width))
        blocks.append(
            Text(
                f"Evenly spread over the photographs, by no other choice: {', '.join(grid.keys)}."
                " Each is coloured by the variant's first seed, from the checkpoint that is"
                " reported on.",
                "note",
            )
        )
    if grid.missing:
        blocks.append(Text(f"Without pictures: {'; '.join(grid.missing)}.", "note"))
    return blocks


def _cost(comparison: Comparison) -> list[Block]:
    rows = []
    for variant in comparison.variants:
        trained = [run.metrics["training"] for run in variant.runs if "training" in run.metrics]
        if trained and not variant.predicted_luminance:
            rows.append(_cost_row(variant, trained))
    if not rows:
        return []
    header = ["", "runs", "seeds", "parameters", "epochs", "images/s", "minutes a run", "hardware"]
    return [Heading("Cost"), Table(header, rows)]


def _cost_row(variant: Variant, trained: Sequence[dict[str, Any]]) -> list[Cell]:
    def mean(name: str) -> float | None:
        values = [run[name] for run in trained if run.get(name) is not None]
        return float(np.mean(values)) if values else None

    parameters, epochs, rate, seconds = map(
        mean, ("parameters", "epochs", "images_per_second", "seconds")
    )
    machines = dict.fromkeys(str(run["hardware"]) for run in trained if run.get("hardware"))
    return [
        Cell(variant.name),
        Cell(str(len(variant.runs))),
        Cell(str(variant.seeds)),
        Cell("–" if parameters is None else f"{parameters / 1e6:.2f} M"),
        Cell("–" if epochs is None else f"{epochs:.3g}"),
        Cell("–" if rate is None else f"{rate:,.0f}"),
        Cell("–" if seconds is None else f"{seconds / 60:.1f}"),
        Cell("; ".join(machines) or "–"),
    ]


def _protocol(comparison: Comparison) -> list[Block]:
    shards = ", ".join(comparison.shards) or "not named"
    row = {"last": "the last checkpoint of each run", "best": "the best checkpoint of each run"}
    points = [
        ("Photographs", f"{photographs(len(comparison.keys))}, the same for all; shards: {shards}"),
        (
            "Networks",
            f"{row[comparison.row]}; of an evaluation, the checkpoint or the pictures that it"
            " names. Runs that differ only in seed and fold are one variant: folds are pooled, so"
            " that each photograph is judged by a network that wasn't trained on it, and the seeds"
            " of a fold are averaged photograph by photograph",
        ),
        (
            "Intervals",
            f"percentile bootstrap, 95 %, {RESAMPLES:,} resamples of the photographs and, where"
            " there are several, of the seeds of a fold",
        ),
        (
            "Tests",
            f"paired sign-flip permutation test of the mean difference ({RESAMPLES:,} patterns of"
            " signs, or all), two-sided, corrected by Holm's procedure for all pairs of one figure,"
            " those with gray and mean colour among them; it takes the networks as they are, and"
            f" with fewer than {ENOUGH} photographs nothing is told apart. Of figures that are best"
            " near 0, distances from 0 are compared, photograph by photograph",
        ),
        *((figure.title, figure.definition) for figure in comparison.figures),
    ]
    points += [
        (name.replace("_", " "), _said(value))
        for name, value in comparison.protocol.items()
        if not name.startswith("definition")  # they stand above, at each figure
    ]
    return [Heading("Protocol"), List(points)]


def _said(value: Any) -> str:
    """A value of the protocol in a sentence."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _configuration(comparison: Comparison) -> list[Block]:
    """The keys that differ, and nothing else of the configuration."""
    variants = [v for v in comparison.variants if not v.predicted_luminance]
    keys = differing([variant.settings for variant in variants])
    if not keys:
        return []
    return [
        Heading("What differs in the configuration"),
        Table(
            ["", *(variant.name for variant in variants)],
            [[Cell(key), *(Cell(_setting(variant, key)) for variant in variants)] for key in keys],
        ),
    ]


def _setting(variant: Variant, key: str) -> str:
    value = variant.settings.get(key, "–")
    # As YAML writes it.
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def write_report(report: Report, output: Path) -> Path:
    """Write all files, each whole or not at all, and return that of the report.

    Raises:
        IrodoriError: they can't be written.
    """
    content = {
        **report.files,
        "report.md": markdown(report.document).encode("utf-8", "replace"),
        "report.html": html(report.document).encode("utf-8", "replace"),
    }
    try:
        for name, data in content.items():
            with replacing(output / name) as file:
                file.write(data)
    except OSError as error:
        raise IrodoriError(
            f"{output} can't be written: {one_line(error)}; choose another --output"
        ) from None
    return output / "report.html"
