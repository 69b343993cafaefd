"""The page's HTML for a photo; whatever a visitor has sent is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from irodori.app.demo.service import Result

LIKELIEST = 6
"""Scenes that are shown."""


def card(name: str, size: tuple[int, int], results: Sequence[Result], key: str = "") -> str:
    """Show a photo of this width and height, and what one or more models made of it.

    Args:
        name: of the photo's file.
        size: in pixels.
        results: of the models.
        key: differs from photo to photo, and is the same when one is colorized again.
    """
    parts = ""
    for result in results:
        of = f"{name}, {result.model}" if len(results) > 1 else name
        hints = _hints(name, of, result, key)
        parts += _result(name, of, result, hints)
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


def _result(name: str, of: str, result: Result, hints: str) -> str:
    model = f"<h4>{escape(result.model)}</h4>" if of != name else ""
    return (
        f'<section class="result">{model}'
        '<div class="view"><div class="compare">'
        f'<img src="{escape(address(result.gray))}" alt="{escape(name)} in gray">'
        f'<img class="colorized" src="{escape(address(result.preview))}"'
        f' alt="{escape(name)} as colorized by {escape(result.model)}">'
        '<span class="divide" aria-hidden="true"></span>'
        '<input type="range" min="0" max="100" value="50" step="1"'
        f' aria-label="From gray to colorized: {escape(of)}"'
        " oninput=\"this.parentElement.style.setProperty('--at', this.value + '%')\">"
        "</div>"
        '<p class="ends" aria-hidden="true"><span>colorized</span><span>gray</span></p></div>'
        f"{hints}"
        f'<p><a class="full-size" download="{escape(result.file.name)}"'
        f' href="{escape(address(result.file))}">Download at full size'
        f'<span class="of"> ({escape(of)})</span></a></p>'
        f"{_notes(result.notes)}{_scenes(result.scenes)}</section>"
    )


def _hints(name: str, of: str, result: Result, key: str) -> str:
    """Return the editor of a result's hints; hints.js fills it."""
    if not result.takes_hints:
        return (
            "<p>This model was trained without hints: its colors can't be corrected by a click.</p>"
        )
    data = {
        "token": result.file.parent.name,
        "key": f"{key} {result.model}",
        "name": name,
        "of": of,
        "style": address(result.style) if result.style else "",
    }
    values = " ".join(f'data-{name}="{escape(str(value))}"' for name, value in data.items())
    return f"<hint-editor {values}></hint-editor>"


def _notes(notes: Sequence[str]) -> str:
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes" aria-label="Notes">{lines}</ul>' if notes else ""


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


def address(file: Path) -> str:
    """Return a file's address; relative, so that it also holds behind a proxy."""
    return "gradio_api/file=" + quote(str(file))
