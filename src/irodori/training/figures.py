"""The figures of an evaluation: metrics.json, and the table in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.table import Table

from irodori.metrics.catalog import FIGURES, Better

MAIN = "chroma_rmse"
"""The figure that is shown for each scene."""
AS_PREDICTED = "_predicted_luminance"
"""Ends the name of a row whose pictures keep the luminance that the network says."""
MOST_SCENES = 20
"""More scenes than these stand in metrics.json only."""


HIDDEN = ("colorfulness_abs", "colorfulness_abs_difference")
"""What metrics.json has, and the terminal has no room for."""
ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "near zero": "→0", "neither": ""}
"""Where a figure is best."""


@dataclass(frozen=True)
class Judged:
    """What was measured of some ways to colour the same photographs.

    rows: for each its figures. scenes: for each scene its number of photographs (`samples`) and the
    figures of each row. records: the lines of per_image.csv.
    """

    rows: dict[str, dict[str, float]] = field(default_factory=dict)
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    def only(self, beginning: str) -> Judged:
        """The rows whose names begin like this."""
        return Judged(
            {row: figures for row, figures in self.rows.items() if row.startswith(beginning)},
            {
                scene: {
                    row: figures
                    for row, figures in content.items()
                    if row == "samples" or row.startswith(beginning)
                }
                for scene, content in self.scenes.items()
            },
            [record for record in self.records if record["row"].startswith(beginning)],
        )

    def renamed(self, old: str, new: str) -> Judged:
        """The same with another beginning of the rows' names."""

        def name(row: str) -> str:
            return new + row.removeprefix(old) if row.startswith(old) else row

        return replace(
            self,
            rows={name(row): figures for row, figures in self.rows.items()},
            scenes={
                scene: {name(row): figures for row, figures in content.items()}
                for scene, content in self.scenes.items()
            },
            records=[{**record, "row": name(record["row"])} for record in self.records],
        )

    def __add__(self, other: Judged) -> Judged:
        """Further rows of the same photographs."""
        scenes = self.scenes.keys() | other.scenes.keys()
        return Judged(
            self.rows | other.rows,
            # In the order of the classes, which both have.
            {
                name: self.scenes.get(name, {}) | other.scenes.get(name, {})
                for name in [*self.scenes, *other.scenes]
                if name in scenes
            },
            self.records + other.records,
        )


def document(judged: Judged, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        judged: what was measured.
        protocol: on which photographs, at what size; the definitions are added.
    """
    measured = {name for figures in judged.rows.values() for name in figures}
    definitions = {name: figure.definition for name, figure in FIGURES.items() if name in measured}
    return {
        "protocol": {**protocol, "definitions": definitions},
        "rows": judged.rows,
        "scenes": judged.scenes,
    }


def table(title: str, rows: Mapping[str, Mapping[str, float]], scenes: Mapping[str, Any]) -> Table:
    """A line a figure and a column a row of metrics.json; below, the main figure of each scene."""
    made = Table(title=title, title_justify="left")
    made.add_column("", no_wrap=True)
    made.add_column("", no_wrap=True)
    for row in rows:
        made.add_column(row.replace("_", " "), justify="right", min_width=6)
    for name, figure in FIGURES.items():
        values = [figures.get(name) for figures in rows.values()]
        if name not in HIDDEN and any(value is not None for value in values):
            style = "bold" if name == MAIN else None
            made.add_row(ARROWS[figure.better], figure.title, *cells(name, values), style=style)
    if 0 < len(scenes) <= MOST_SCENES:
        made.add_section()
        main = FIGURES[MAIN]
        made.add_row("", f"{main.title} of", *[""] * len(rows))
        for scene, content in scenes.items():
            values = [content.get(row, {}).get(MAIN) for row in rows]
            made.add_row("", f"{scene} ({content['samples']})", *cells(MAIN, values))
    return made


def cells(name: str, values: Iterable[float | None]) -> Sequence[str]:
    """A figure's values as text, empty where there is none."""
    return ["" if value is None else FIGURES[name].text(value) for value in values]
