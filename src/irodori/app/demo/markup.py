"""The page's HTML for a photo; whatever a visitor has sent is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from irodori.app.demo.service import Result

LIKELIEST = 6
"""Scenes that are shown."""


def card(name: str, size: tuple[int, int], results: Sequence[Result]) -> str:
    """Show a photo of this width and height, and what one or more models made of it."""
    several = len(results) > 1
    parts = "".join(_result(name, result, several) for result in results)
    return (
        f'<article class="photo"><h3>{escape(name)}'
        f" <small>{size[0]} × {size[1]} pixels</small></h3>"
        f'<div class="results">{parts}</div></article>'
    )


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


def _result(name: str, result: Result, several: bool) -> str:
    model = f"<h4>{escape(result.model)}</h4>" if several else ""
    of = f"{name}, {result.model}" if several else name
    return (
        f'<section class="result">{model}'
        '<div class="view"><div class="compare">'
        f'<img src="{_address(result.gray)}" alt="{escape(name)} in gray">'
        f'<img class="colorized" src="{_address(result.preview)}"'
        f' alt="{escape(name)} as colorized by {escape(result.model)}">'
        '<span class="divide" aria-hidden="true"></span>'
        '<input type="range" min="0" max="100" value="50" step="1"'
        f' aria-label="From gray to colorized: {escape(of)}"'
        " oninput=\"this.parentElement.style.setProperty('--at', this.value + '%')\">"
        "</div>"
        '<p class="ends" aria-hidden="true"><span>colorized</span><span>gray</span></p></div>'
        f'<p><a class="full-size" download="{escape(result.file.name)}"'
        f' href="{_address(result.file)}">Download at full size'
        f'<span class="of"> ({escape(of)})</span></a></p>'
        f"{_scenes(result.scenes)}</section>"
    )


def _scenes(scenes: dict[str, float]) -> str:
    if not scenes:
        return "<p>This model says nothing of scenes.</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(scene.replace("_", " "))}</th>'
        f'<td><span class="bar" style="width: {100 * share:.1f}%"></span></td>'
        f"<td>{100 * share:.0f} %</td></tr>"
        for scene, share in list(scenes.items())[:LIKELIEST]
    )
    return f'<table class="scenes"><caption>Scene</caption><tbody>{rows}</tbody></table>'


def _address(file: Path) -> str:
    """Return a file's address; relative, so that it also holds behind a proxy."""
    return escape("gradio_api/file=" + quote(str(file)))
