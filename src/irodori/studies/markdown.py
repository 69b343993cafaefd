"""A document as Markdown, with its pictures as files beside it."""

import re

from irodori.studies.document import Block, Cell, Document, Heading, List, Picture, Table, Text


def markdown(document: Document) -> str:
    """The file's content."""
    return "\n\n".join([f"# {_plain(document.title)}", *map(_block, document.blocks)]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_plain(text)}"
        case Text(text, tone):
            return f"> **{_plain(text)}**" if tone == "warning" else _plain(text)
        case List(points):
            return "\n".join(f"- **{_plain(a)}**: {_plain(b)}" for a, b in points)
        case Table(header, rows):
            lines = [
                _row([_plain(text) for text in header]),
                _row(["---", *["---:"] * (len(header) - 1)]),
                *(_row([_cell(cell) for cell in row]) for row in rows),
            ]
            return "\n".join(lines)
        case Picture(file, alt):
            return f"![{_plain(alt)}]({file})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = _plain(cell.text)
    if cell.strong:
        text = f"**{text}**"
    return f"{text} ({_plain(cell.note)})" if cell.note else text


def _plain(text: str) -> str:
    """The text with what Markdown would read as marks taken for itself."""
    return re.sub(r"([\\`*_|\[\]<>])", r"\\\1", text)
