"""A document as one HTML file that needs nothing else."""

from base64 import b64encode
from html import escape

from irodori.studies.document import Block, Cell, Document, Heading, List, Picture, Table, Text

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #22252b; --soft: #5b616d; --line: #e3e5ea; --tint: #f5f6f8;
  --accent: #3b76c4; --good: #1d7a55; --bad: #b04545; --warn: #fff6e0; --warn-line: #d9a22b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #1b1e24; --ink: #e6e8ec; --soft: #a3a9b5; --line: #363b45; --tint: #23272e;
    --accent: #7aa9e6; --good: #5cc79b; --bad: #ec8f8f; --warn: #35301f; --warn-line: #b98c2d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 66rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 3.2rem 0 0.8rem; }
p { margin: 0.7rem 0; max-width: 44rem; overflow-wrap: anywhere; }
p.answer { font-size: 1.12rem; }
p.note { color: var(--soft); font-size: 0.9rem; }
p.warning {
  background: var(--warn); border-left: 4px solid var(--warn-line); padding: 0.7rem 1rem;
  border-radius: 4px;
}
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.45rem 0.6rem; text-align: right; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); font-weight: 600; }
th:first-child { text-align: left; padding-left: 0.4rem; }
tbody th { font-weight: 500; text-align: left; min-width: 8rem; }
td { white-space: nowrap; }
tbody tr:hover { background: var(--tint); }
small { display: block; color: var(--soft); font-weight: 400; font-size: 0.78rem; }
strong { font-weight: 700; color: var(--accent); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.even { color: var(--soft); }
img { display: block; width: 100%; height: auto; max-width: 46rem; }
.wide img { max-width: none; }
dl { margin: 1rem 0; max-width: 48rem; }
dt { font-weight: 600; margin-top: 0.9rem; }
dd { margin: 0.1rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main { padding: 1.6rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  th, td { padding: 0.4rem 0.6rem; }
  .scroll thead th:first-child, .scroll tbody th {
    position: sticky; left: 0; background: var(--paper); min-width: 6.5rem;
  }
}
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } }
"""


def html(document: Document) -> str:
    """The file's content: style inside, pictures as data URIs, no scripts."""
    body = "\n".join(map(_block, document.blocks))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(document.title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text, tone):
            return f'<p class="{tone}">{escape(text)}</p>' if tone else f"<p>{escape(text)}</p>"
        case List(points):
            said = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in points)
            return f"<dl>{said}</dl>"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block)


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{escape(text)}</th>' for text in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{_cell(name)}</th>'
        + "".join(
            f'<td class="{cell.tone}">{_cell(cell)}</td>'
            if cell.tone
            else f"<td>{_cell(cell)}</td>"
            for cell in cells
        )
        + "</tr>"
        for name, *cells in table.rows
    )
    return (
        f'<div class="scroll"><table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n'
        "</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.strong:
        text = f"<strong>{text}</strong>"
    return text + (f"<small>{escape(cell.note)}</small>" if cell.note else "")


def _picture(picture: Picture) -> str:
    width = f' style="min-width: {picture.least_width}px"' if picture.least_width else ""
    image = f'<img src="{_uri(picture.light)}" alt="{escape(picture.alt)}"{width}>'
    if picture.dark is not None:
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{_uri(picture.dark)}">'
        image = f"<picture>{dark}{image}</picture>"
    kind = "scroll wide" if picture.least_width else "scroll"
    return f'<div class="{kind}">{image}</div>'


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()
