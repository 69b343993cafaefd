"""What a report consists of, before it becomes HTML or Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    note: str = ""
    """Below it, smaller."""
    strong: bool = False
    tone: Literal["", "good", "bad", "even"] = ""


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    tone: Literal["", "answer", "warning", "note"] = ""


@dataclass(frozen=True)
class List:
    """Points, each of a term and what is said of it."""

    points: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table whose first column holds names, and the others numbers or words."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Picture:
    """A PNG beside the report, and embedded in it."""

    file: str
    alt: str
    light: bytes
    dark: bytes | None = None
    least_width: int = 0
    """CSS pixels below which it is scrolled and not shrunk."""


Block = Heading | Text | List | Table | Picture


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    blocks: Sequence[Block]
