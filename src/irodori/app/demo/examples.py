"""Example photographs, with the attribution that their licenses require."""

import csv
import shutil
from html import escape
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "examples"
LIST = "examples.csv"


class Example(NamedTuple):
    """A bundled photograph: a JPEG file and, as `source`, the web page that it comes from."""

    file: Path
    title: str
    author: str
    licence: str
    source: str


def copied_to(folder: Path) -> list[Example]:
    """Copy the examples to a folder that the page may serve, and return the copies."""
    shutil.copytree(FOLDER, folder)
    with (folder / LIST).open(encoding="utf-8", newline="") as file:
        return [Example(folder / row.pop("file"), **row) for row in csv.DictReader(file)]


def attribution(examples: list[Example]) -> str:
    """Return HTML that names the photographers."""
    items = "; ".join(
        f'<a href="{escape(example.source)}" rel="noreferrer">{escape(example.title)}</a>'
        f" by {escape(example.author)} ({escape(example.licence)})"
        for example in examples
    )
    return f"Examples: {items}."
