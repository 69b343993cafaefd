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
    shutil.copytree(FOLDER, folder)
    with (folder / LIST).open(encoding="utf-8", newline="") as file:
        return [Example(folder / row.pop("file"), **row) for row in csv.DictReader(file)]


def attribution(examples: list[Example]) -> str:
    """Return who took the photographs, as HTML."""
    items = "; ".join(
        f'<a href="{escape(example.source)}" rel="noreferrer">{escape(example.title)}</a>'
        f" by {escape(example.author)} ({escape(example.licence)})"
        for example in examples
    )
    return f"Examples: {items}."
