"""Reports: what one consists of, and how it becomes HTML, Markdown and files."""

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
    """Smaller text below it."""
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
    """A table whose first column holds names, and the others numbers or words."""

    kind: ClassVar = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Picture:
    """A PNG beside the report, and embedded in it."""

    kind: ClassVar = "picture"
    file: str
    alt: str
    png: bytes
    min_width: int = 0
    """CSS pixels below which it is scrolled and not shrunk."""


Block = Heading | Text | List | Table | Picture


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    blocks: Sequence[Block]


def to_html(document: Document) -> str:
    """Return one HTML file that needs nothing else: styles inside, pictures as data URIs."""
    return _templates.get_template("report.html.j2").render(document=document)


def to_markdown(document: Document) -> str:
    """Return Markdown, whose pictures are files beside it."""
    return _templates.get_template("report.md.j2").render(document=document)


def write_report(document: Document, files: Mapping[str, bytes], output: Path) -> Path:
    """Write report.html, report.md, the pictures and other files, each whole or not at all.

    Returns:
        The path of report.html.

    Raises:
        IrodoriError: they can't be written.
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
    """Return names as part of a sentence, in quotes where one holds a comma."""
    if any("," in name for name in names):
        names = [f"“{name}”" for name in names]
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()


def _plain(text: str) -> str:
    """Escape what Markdown would read as marks."""
    return re.sub(r"([\\`*_|\[\]<>])", r"\\\1", text)


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=lambda name: name is not None and ".html" in name,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_templates.filters |= {"data_uri": _data_uri, "plain": _plain}
