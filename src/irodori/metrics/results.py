"""Output of an evaluation: metrics.json, per_image.csv, and a table in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from irodori.metrics.catalog import HEAD, MAIN, METRICS, WEIGHT, Better, MetricInfo
from irodori.utils.files import write_csv
from irodori.utils.run_files import PER_IMAGE

CONSOLE = Console(highlight=False)
MAX_SCENES = 20
"""Largest number of scenes in the table; more are only in metrics.json."""
HIDDEN = ("colorfulness_abs", "colorfulness_abs_difference")
"""Metrics in metrics.json that the terminal doesn't show."""
ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "near zero": "→0", "neither": ""}
"""Symbols of a metric's direction."""


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of several methods on the same photographs.

    rows: metrics of each row. scenes: for each scene, its number of photographs (`samples`) and the
    metrics of each row. records: lines of per_image.csv. metrics: descriptions of the metrics, by
    name.
    """

    rows: dict[str, dict[str, float]] = field(default_factory=dict)
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    metrics: Mapping[str, MetricInfo] = field(default_factory=lambda: METRICS)

    def renamed(self, old: str, new: str) -> EvaluationResult:
        """Return only the rows whose names start with `old`, replaced by `new`."""

        def rename(rows: Mapping[str, Any]) -> dict[str, Any]:
            return {new + r.removeprefix(old): x for r, x in rows.items() if r.startswith(old)}

        return replace(
            self,
            rows=rename(self.rows),
            scenes={
                scene: {"samples": content["samples"], **rename(content)}
                for scene, content in self.scenes.items()
            },
            records=[
                {**record, "row": new + record["row"].removeprefix(old)}
                for record in self.records
                if record["row"].startswith(old)
            ],
        )

    def __add__(self, other: EvaluationResult) -> EvaluationResult:
        """Combine the rows of two results on the same photographs."""
        return replace(
            self,
            rows=self.rows | other.rows,
            scenes={scene: self.scenes[scene] | rows for scene, rows in other.scenes.items()},
            records=self.records + other.records,
        )


def document(result: EvaluationResult, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of metrics.json.

    Args:
        result: result of the evaluation.
        protocol: protocol, to which the definitions of metrics are added.
    """
    measured = {name for values in result.rows.values() for name in values}
    metrics = {name: info for name, info in result.metrics.items() if name in measured}
    definitions = {name: info.definition for name, info in metrics.items()}
    return {
        "protocol": {**protocol, "definitions": definitions},
        "metrics": {name: info.to_json() for name, info in metrics.items()},
        "rows": result.rows,
        "scenes": result.scenes,
    }


def write_per_image(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write per_image.csv atomically, with one line per row of the table and photograph.

    Columns are the measured metrics in the order of the catalog, followed by others; undefined
    values are empty cells. Numbers have full precision.
    """
    measured = dict.fromkeys([*HEAD, *(column for record in records for column in record)])
    catalog = [column for name in METRICS for column in (name, name + WEIGHT)]
    order = dict.fromkeys([*HEAD, *catalog, *measured])
    columns = [column for column in order if column in measured]
    rows = ([record.get(column) for column in columns] for record in records)
    write_csv(folder / PER_IMAGE, columns, rows)


def table(
    title: str,
    rows: Mapping[str, Mapping[str, float]],
    scenes: Mapping[str, Any],
    metrics: Mapping[str, MetricInfo] = METRICS,
) -> Table:
    """Return a table of metrics (lines) by rows of metrics.json (columns), then the scenes."""
    made = Table(title=title, title_justify="left")
    made.add_column("", no_wrap=True)
    made.add_column("", no_wrap=True)
    for row in rows:
        made.add_column(row.replace("_", " "), justify="right", min_width=6)
    for name, info in metrics.items():
        values = [measured.get(name) for measured in rows.values()]
        if name not in HIDDEN and any(value is not None for value in values):
            style = "bold" if name == MAIN else None
            made.add_row(ARROWS[info.better], info.title, *_cells(info, values), style=style)
    if 0 < len(scenes) <= MAX_SCENES:
        made.add_section()
        main = METRICS[MAIN]
        made.add_row("", f"{main.title} of", *[""] * len(rows))
        for scene, content in scenes.items():
            values = [content.get(row, {}).get(MAIN) for row in rows]
            made.add_row("", f"{scene} ({content['samples']})", *_cells(main, values))
    return made


def _cells(info: MetricInfo, values: Iterable[float | None]) -> Sequence[str]:
    return ["" if value is None else info.text(value) for value in values]
