"""Structure of reports, and their output as HTML and Markdown."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import jinja2

from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import write_file


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    note: str = ""
    """Smaller text below the main one."""
    strong: bool = False
    tone: Literal["", "good", "bad", "even"] = ""


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"
    text: str
    tone: Literal["", "answer", "warning", "note"] = ""


@dataclass(frozen=True)
class List:
    """A list of terms, each with an explanation."""

    kind: ClassVar = "list"
    points: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table with names in the first column and values in the others."""

    kind: ClassVar = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Picture:
    """A PNG file beside the report, embedded in the HTML."""

    kind: ClassVar = "picture"
    file: str
    alt: str
    png: bytes
    min_width: int = 0
    """Width in CSS pixels below which the picture scrolls instead of shrinking."""


Block = Heading | Text | List | Table | Picture


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    blocks: Sequence[Block]


def to_html(document: Document) -> str:
    """Return a self-contained HTML file, with pictures as data URIs."""
    return _templates.get_template("report.html.j2").render(document=document)


def to_markdown(document: Document) -> str:
    """Return Markdown that refers to picture files beside it."""
    return _templates.get_template("report.md.j2").render(document=document)


def write_report(document: Document, files: Mapping[str, bytes], output: Path) -> Path:
    """Write report.html, report.md, the pictures and other files, each atomically.

    Returns:
        The path of report.html.

    Raises:
        IrodoriError: a file can't be written.
    """
    pictures = {block.file: block.png for block in document.blocks if isinstance(block, Picture)}
    content = {
        **files,
        **pictures,
        "report.md": to_markdown(document).encode("utf-8", "replace"),
        "report.html": to_html(document).encode("utf-8", "replace"),
    }
    try:
        for name, data in content.items():
            write_file(output / name, data)
    except OSError as error:
        raise IrodoriError(
            f"{output} can't be written: {one_line(error)}; choose another --output"
        ) from None
    return output / "report.html"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence, quoted if one contains a comma."""
    if any("," in name for name in names):
        names = [f"“{name}”" for name in names]
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()


def _plain(text: str) -> str:
    """Escape Markdown's special characters."""
    return re.sub(r"([\\`*_|\[\]<>])", r"\\\1", text)


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=lambda name: name is not None and ".html" in name,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_templates.filters |= {"data_uri": _data_uri, "plain": _plain}
