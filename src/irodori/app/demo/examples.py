"""Photographs to begin with, with what their licences ask to be said."""

import csv
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "examples"
LIST = "examples.csv"


@dataclass(frozen=True)
class Example:
    """A photograph that comes along.

    Attributes:
        file: JPEG.
        title, author, licence: in words.
        source: its page on the web.
    """

    file: Path
    title: str
    author: str
    licence: str
    source: str


def copied_to(folder: Path) -> list[Example]:
    """The examples, as copies in a folder that the page may show."""
    folder.mkdir(parents=True, exist_ok=True)
    with (FOLDER / LIST).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Example(
            Path(shutil.copyfile(FOLDER / row["file"], folder / row["file"])),
            row["title"],
            row["author"],
            row["licence"],
            row["source"],
        )
        for row in rows
    ]


def attribution(examples: list[Example]) -> str:
    """Who took the photographs, as HTML."""
    items = "; ".join(
        f'<a href="{escape(example.source)}" rel="noreferrer">{escape(example.title)}</a>'
        f" by {escape(example.author)} ({escape(example.licence)})"
        for example in examples
    )
    return f"Examples: {items}."
