"""The sections of a comparison's report."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from irodori.evaluation.comparison import plots
from irodori.evaluation.comparison.comparison import Comparison, answer, photographs
from irodori.evaluation.comparison.runs import TRUE
from irodori.evaluation.comparison.training import curves, training_section, training_table
from irodori.evaluation.comparison.variants import differing
from irodori.evaluation.document import Block, Cell, Document, Heading, List, Table, Text
from irodori.evaluation.statistics import ENOUGH, RESAMPLES
from irodori.metrics.catalog import MetricInfo
from irodori.utils.progress import Reporter, silent

# With non-breaking spaces.
ARROWS = {"lower": "\u00a0↓", "higher": "\u00a0↑", "near zero": "\u00a0→\u00a00", "neither": ""}
TONES: Mapping[str, Any] = {"better": "good", "worse": "bad"}


def make_report(
    comparison: Comparison,
    title: str | None,
    pictures: int,
    trust: Sequence[str] = (),
    report: Reporter = silent,
) -> tuple[Document, dict[str, pd.DataFrame]]:
    """Draw the plots, colorize the pictures and assemble the report.

    Args:
        comparison: result of `compare`.
        title: title of the report.
        pictures: number of photographs to show side by side.
        trust: names of packages besides irodori whose classes checkpoints may use.
        report: called with the progress.

    Returns:
        The document, and its data as tables by name.

    Raises:
        IrodoriError: a metrics.csv is damaged.
    """
    report("drawing the plots")
    trained = curves(comparison.variants, comparison.main.name)
    blocks: list[Block] = [Text(" ".join(answer(comparison)), "answer")]
    blocks += [Text(warning, "warning") for warning in comparison.warnings]
    if comparison.left_out:
        count = len(comparison.left_out)
        runs = "1 run is" if count == 1 else f"{count} runs are"
        blocks.append(Text(f"{runs} left out: see the end.", "warning"))
    blocks += [
        Heading("Metrics"),
        metrics_table(comparison),
        Text(_how_to_read(comparison), "note"),
    ]
    if len(comparison.variants) > 1:
        blocks += [Heading(f"Which is better in {comparison.main.title}")]
        blocks += [verdict_table(comparison), Text(VERDICTS, "note")]
    blocks += [Heading("How large the errors are"), plots.forest(comparison), Text(FOREST, "note")]
    if not comparison.scenes.empty:
        blocks += [Heading("By scene"), scene_table(comparison), Text(SCENES, "note")]
    if (plot := plots.trade_off(comparison)) is not None:
        blocks += [Heading("Errors and colorfulness"), plot, Text(TRADE_OFF, "note")]
    blocks += training_section(comparison, trained)
    if pictures:
        report("loading PyTorch for the pictures")
        from irodori.evaluation.comparison.side_by_side import side_by_side

        blocks += side_by_side(comparison, pictures, trust, report)
    blocks += [*_cost(comparison), *_protocol(comparison), *_configuration(comparison)]
    if comparison.left_out:
        reasons = [(str(left.folder), left.reason) for left in comparison.left_out]
        blocks += [Heading("Left out"), List(reasons)]
    tables = comparison.tables()
    if trained:
        tables["training"] = training_table(trained).reset_index()
    return Document(title or "Comparison of colorizations", blocks), tables


COST = (
    ("parameters", "{:.2f} M", 1e6),
    ("epochs", "{:.3g}", 1),
    ("images_per_second", "{:,.0f}", 1),
    ("seconds", "{:.1f}", 60),
)
"""Entries of a run's metrics.json, with format and unit."""
VERDICTS = (
    "Each row minus each column, as difference of the means; below it p, corrected for the number"
    " of pairs. Better and worse: corrected p < 0.05, and the interval of the difference excludes"
    " 0."
)
FOREST = (
    "Points are means, lines 95 % intervals. Variants with overlapping intervals may still differ,"
    " since both colorized the same photographs: the table above shows which do."
)
SCENES = (
    "Means over the photographs of each scene with 95 % intervals; the number of photographs is in"
    " brackets. Scenes aren't tested: among many, some differ by chance."
)
TRADE_OFF = (
    "Pale pictures have smaller errors than vivid wrong ones: good ones have small errors and the"
    " colorfulness of the true photographs."
)


def metrics_table(comparison: Comparison) -> Table:
    """Return a table with one row per metric and one column per variant or reference."""
    names = comparison.rows
    if TRUE in comparison.estimates.index.unique("variant"):
        names = (*names, TRUE)

    def cell(name: str, metric: MetricInfo) -> Cell:
        if (name, metric.name) not in comparison.estimates.index:
            return Cell(metric.text(None))
        mean, low, high = comparison.estimates.loc[(name, metric.name), ["mean", "low", "high"]]
        strong = name == comparison.best(metric) and comparison.stands_out(name, metric)
        note = "" if np.isnan(low) else f"{_number(metric, low)} … {_number(metric, high)}"
        return Cell(_number(metric, mean), note, strong)

    rows = [
        [
            Cell(metric.title + ARROWS[metric.better], metric.unit),
            *(cell(name, metric) for name in names),
        ]
        for metric in comparison.metrics
    ]
    return Table(["", *names], rows)


def scene_table(comparison: Comparison) -> Table:
    """Return the main metric with one row per scene and one column per variant or reference."""
    main, scenes = comparison.main, comparison.scenes

    def cell(scene: str, name: str) -> Cell:
        if (scene, name) not in scenes.index:
            return Cell(main.text(None))
        mean, low, high = (
            _number(main, scenes.at[(scene, name), c]) for c in ("mean", "low", "high")
        )
        return Cell(mean, f"{low} … {high}")

    counts = scenes["photographs"].groupby("scene").first()
    rows = [
        [Cell(str(scene), str(count)), *(cell(scene, name) for name in comparison.rows)]
        for scene, count in counts.items()
    ]
    return Table([main.title + ARROWS[main.better], *comparison.rows], rows)


def _number(metric: MetricInfo, value: float) -> str:
    """Return the formatted value, with a typographic minus sign."""
    return metric.text(value).replace("-", "−")


def _how_to_read(comparison: Comparison) -> str:
    sentences = ["Means with 95 % intervals below."]
    if len(comparison.variants) > 1:
        sentences.append(
            "Bold: the best, if it is significantly better than every other variant, the mean color"
            " and gray; rows without bold have no winner."
        )
    if any(variant.seeds == 1 for variant in comparison.variants):
        sentences.append(
            "If a variant was trained with a single seed, its interval shows how the metric would"
            " vary with other photographs, but not with another seed."
        )
    return " ".join(sentences)


def verdict_table(comparison: Comparison) -> Table:
    """Return verdicts and differences, with one row per variant and one column per side."""
    main = comparison.main

    def cell(name: str, other: str) -> Cell:
        if (name, other, main.name) not in comparison.differences.index:
            return Cell("" if name == other else "–")
        found = comparison.differences.loc[(name, other, main.name)]
        value = found["difference"]
        number = main.text(value)
        if value and not float(number):
            # Enough digits to show the sign of small differences.
            number = f"{value:.1g}"
        sign = "+" if value > 0 else ""
        p = found["p_corrected"]
        note = f"{sign}{number}, p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}".replace("-", "−")
        return Cell(found["verdict"], note, tone=TONES.get(found["verdict"], "even"))

    known = comparison.means(main).index
    columns = [name for name in comparison.rows if name in known]
    rows = [[Cell(name), *(cell(name, other) for other in columns)] for name in comparison.names]
    return Table(["", *columns], rows)


def _cost(comparison: Comparison) -> list[Block]:
    rows = []
    for variant in comparison.variants:
        trained = pd.DataFrame(run.metrics.get("training", {}) for run in variant.runs)
        if trained.empty or variant.predicted_luminance:
            continue
        mean = trained.reindex(columns=[name for name, *_ in COST]).astype(float).mean()
        cells = [
            "–" if np.isnan(mean[name]) else form.format(mean[name] / unit)
            for name, form, unit in COST
        ]
        machines = trained.get("hardware", pd.Series(dtype=str)).dropna().unique()
        counts = [str(len(variant.runs)), str(variant.seeds)]
        texts = [variant.name, *counts, *cells, "; ".join(machines) or "–"]
        rows.append(list(map(Cell, texts)))
    if not rows:
        return []
    header = [
        "",
        "runs",
        "seeds",
        "parameters",
        "epochs",
        "images/s",
        "minutes per run",
        "hardware",
    ]
    return [Heading("Cost"), Table(header, rows)]


def _protocol(comparison: Comparison) -> list[Block]:
    shards = ", ".join(comparison.shards) or "not named"
    points = [
        ("Photographs", f"{photographs(len(comparison.keys))}, the same for all; shards: {shards}"),
        (
            "Networks",
            f"the {comparison.row} checkpoint of each run; for an evaluation, its checkpoint or"
            " pictures. Runs that differ only in seed and fold form one variant: folds"
            " are pooled, so that each photograph is colorized by a network that wasn't trained on"
            " it, and the seeds of a fold are averaged photograph by photograph",
        ),
        (
            "Intervals",
            f"percentile bootstrap, 95 %, {RESAMPLES:,} resamples of the photographs and, where"
            " there are several, of the seeds of a fold",
        ),
        (
            "Tests",
            f"paired sign-flip permutation test of the mean difference ({RESAMPLES:,} patterns of"
            " signs, or all), two-sided, corrected by Holm's procedure for all pairs of a metric,"
            " including gray and mean color; it is conditional on the trained networks, and"
            f" with fewer than {ENOUGH} photographs nothing is tested. For metrics that are"
            " best near 0, distances from 0 are compared photograph by photograph",
        ),
        *((metric.title, metric.definition) for metric in comparison.metrics),
        *(
            (name.replace("_", " "), _in_words(value))
            for name, value in comparison.protocol.items()
            if not name.startswith("definition")  # shown above with each metric
        ),
    ]
    return [Heading("Protocol"), List(points)]


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _configuration(comparison: Comparison) -> list[Block]:
    """Return a table of the configuration keys that differ."""
    variants = [v for v in comparison.variants if not v.predicted_luminance]

    def cell(value: Any) -> Cell:
        # Formatted as YAML.
        return Cell(json.dumps(value) if value is None or isinstance(value, bool) else str(value))

    rows = [
        [Cell(key), *(cell(variant.settings.get(key, "–")) for variant in variants)]
        for key in differing([variant.settings for variant in variants])
    ]
    if not rows:
        return []
    header = ["", *(variant.name for variant in variants)]
    return [Heading("What differs in the configuration"), Table(header, rows)]
