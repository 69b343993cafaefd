"""The page's HTML for a photo; whatever a visitor has sent is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import jinja2

from irodori.app.demo.service import Result

LIKELIEST = 6
"""Scenes that are shown."""


def card(name: str, results: Sequence[Result], key: str = "") -> str:
    """Show a photo and what one or more models made of it.

    Args:
        name: of the photo's file.
        results: of the models.
        key: differs from photo to photo, and is the same when one is colorized again.
    """
    template = _templates.get_template("photo.html.j2")
    size = results[0].size
    return template.render(name=name, size=size, results=results, key=key, likeliest=LIKELIEST)


def refusal(name: str, why: str) -> str:
    """Show a photo that was not colorized."""
    return (
        f'<article class="photo refused"><h3>{escape(name)}</h3>'
        f"<p><strong>Not colorized:</strong> {escape(why)}</p></article>"
    )


def status(line: str, done: int = 0, total: int = 0) -> str:
    """Show how far the work is: a line, and a bar while there is work."""
    bar = f'<progress value="{done}" max="{total}" aria-hidden="true"></progress>' if total else ""
    return f"<p>{escape(line)}</p>{bar}"


def address(file: Path) -> str:
    """Return a file's address; relative, so that it also holds behind a proxy."""
    return "gradio_api/file=" + quote(str(file))


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_templates.filters["address"] = address
