"""Photographs to begin with, with what their licenses ask to be said."""

import csv
import shutil
from html import escape
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "examples"
LIST = "examples.csv"


class Example(NamedTuple):
    """A bundled photograph: a JPEG, with its page on the web as `source`."""

    file: Path
    title: str
    author: str
    licence: str
    source: str


def copied_to(folder: Path) -> list[Example]:
    """Return the examples, as copies in a folder that the page may show."""
    folder.mkdir(parents=True, exist_ok=True)
    with (FOLDER / LIST).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        shutil.copyfile(FOLDER / row["file"], folder / row["file"])
    names = ("title", "author", "licence", "source")
    return [Example(folder / row["file"], *(row[name] for name in names)) for row in rows]


def attribution(examples: list[Example]) -> str:
    """Return who took the photographs, as HTML."""
    items = "; ".join(
        f'<a href="{escape(example.source)}" rel="noreferrer">{escape(example.title)}</a>'
        f" by {escape(example.author)} ({escape(example.licence)})"
        for example in examples
    )
    return f"Examples: {items}."
