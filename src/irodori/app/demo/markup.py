"""The page's HTML for a photo; everything from visitors is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import jinja2

from irodori.app.demo.service import Result

LIKELIEST = 6
"""Number of scenes that are shown."""


def card(name: str, results: Sequence[Result], key: str = "") -> str:
    """Return HTML that shows a photo and its results by one or more models.

    Args:
        name: name of the photo's file.
        results: one result per model.
        key: identifies the photo; it stays the same when the photo is colorized again.
    """
    template = _templates.get_template("photo.html.j2")
    size = results[0].size
    return template.render(name=name, size=size, results=results, key=key, likeliest=LIKELIEST)


def refusal(name: str, why: str) -> str:
    """Return HTML for a photo that was not colorized."""
    return (
        f'<article class="photo refused"><h3>{escape(name)}</h3>'
        f"<p><strong>Not colorized:</strong> {escape(why)}</p></article>"
    )


def status(line: str, done: int = 0, total: int = 0) -> str:
    """Return HTML for the progress: a line of text, and a bar while work remains."""
    bar = f'<progress value="{done}" max="{total}" aria-hidden="true"></progress>' if total else ""
    return f"<p>{escape(line)}</p>{bar}"


def address(file: Path) -> str:
    """Return a file's URL, relative so that it also works behind a proxy."""
    return "gradio_api/file=" + quote(str(file))


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_templates.filters["address"] = address
