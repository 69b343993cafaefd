"""Hints (known colors at positions of a photo) and hint files."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Any

from irodori.imageio import Provenance
from irodori.utils.errors import IrodoriError, one_line

VERSION = 1
"""Version of the file format."""
SUFFIX = ".hints.json"
"""Suffix of hint files."""
MAX_HINTS = 1000
"""Largest number of hints per photo."""
FARTHEST = 1_000_000_000
COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Hint:
    """A color at a position of a photo.

    Args:
        x, y: position in pixels from the left and top edges of the upright photo; the center of the
            first pixel is 0.5. With `relative`, shares of its width and height.
        color: sRGB, "#rrggbb". Only its CIE a*b* is used; the photo's lightness is kept.
        relative: whether x and y are shares in [0, 1].

    Raises:
        IrodoriError: x or y is not a number or out of range, or color isn't in the form "#rrggbb".
    """

    x: float
    y: float
    color: str
    relative: bool = False

    def __post_init__(self) -> None:
        last = 1 if self.relative else FARTHEST
        # Values from a file may have any type.
        places: dict[str, Any] = {"x": self.x, "y": self.y}
        for name, value in places.items():
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value <= last
            ):
                wanted = "a share from 0 to 1" if self.relative else "a number of pixels ≥ 0"
                raise IrodoriError(f"{name} is {_shown(value)}: give {wanted}")
        if not isinstance(self.color, str) or not COLOR.fullmatch(self.color):
            raise IrodoriError(f'color is {_shown(self.color)}: write it as "#rrggbb"')


def read_hints(path: Path) -> tuple[Hint, ...]:
    """Read a hint file.

    Raises:
        IrodoriError: the file doesn't exist or isn't a valid hint file.
    """
    try:
        return hints_from_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise IrodoriError(f"{path}: {error.strerror or one_line(error)}") from None
    except UnicodeDecodeError:
        raise IrodoriError(f"{path}: not JSON (not UTF-8 text)") from None
    except IrodoriError as error:
        raise IrodoriError(f"{path}: {error}") from None


def hints_from_json(text: str) -> tuple[Hint, ...]:
    """Parse the text of a hint file; docs/reference/file_formats.md describes the format.

    Raises:
        IrodoriError: the text is invalid; the message locates the error.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise IrodoriError(f"not JSON ({where}: {error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise IrodoriError(f"not JSON ({one_line(error)})") from None
    version, units, items = _values(document, "a hint file", ("version", "units", "hints"))
    if version != VERSION:
        raise IrodoriError(
            f"version is {_shown(version)}, but this version of irodori reads {VERSION}"
        )
    if units not in ("pixels", "share"):
        raise IrodoriError(f'units is {_shown(units)}: write "pixels" or "share"')
    if not isinstance(items, list):
        raise IrodoriError(f"hints is {_shown(items)}: write a list of hints")
    refuse_too_many(len(items))
    hints = []
    for number, item in enumerate(items):
        try:
            x, y, color = _values(item, "a hint", ("x", "y", "color"))
            hints.append(Hint(x, y, color, relative=units == "share"))
        except IrodoriError as error:
            raise IrodoriError(f"hints[{number}]: {error}") from None
    return tuple(hints)


def hints_to_json(hints: Iterable[Hint]) -> str:
    """Return the text of a hint file with these hints, one per line.

    Raises:
        ValueError: only some hints are relative, but a file has a single unit.
    """
    hints = tuple(hints)
    if len({hint.relative for hint in hints}) > 1:
        raise ValueError("hints must be either all in pixels or all relative")
    units = "share" if hints and hints[0].relative else "pixels"
    lines = [json.dumps({"x": hint.x, "y": hint.y, "color": hint.color}) for hint in hints]
    inside = "".join(f"\n    {line}," for line in lines).removesuffix(",")
    return f'{{\n  "version": {VERSION},\n  "units": "{units}",\n  "hints": [{inside}\n  ]\n}}\n'


def is_hint_file(path: Path) -> bool:
    """Return whether a file is a hint file by its name."""
    return path.name.lower().endswith(SUFFIX)


def hint_file_of(photo: Path) -> Path | None:
    """Return the hint file beside a photo (`a.jpg.hints.json` or `a.hints.json`), or None."""
    for file in (photo.with_name(photo.name + SUFFIX), photo.with_suffix(SUFFIX)):
        if os.path.isfile(file):  # noqa: PTH113  (Path's own raises for long names)
            return file
    return None


def with_hints(provenance: Provenance, count: int) -> Provenance:
    """Return the provenance with the number of hints added."""
    if not count:
        return provenance
    return replace(provenance, settings={**provenance.settings, "hints": count})


def refuse_too_many(count: int) -> None:
    """Raise IrodoriError for more than MAX_HINTS hints."""
    if count > MAX_HINTS:
        raise IrodoriError(f"{count:,} hints are too many: give at most {MAX_HINTS:,}")


def _values(item: Any, what: str, names: tuple[str, ...]) -> list[Any]:
    """Return the values of a JSON object that must have exactly these keys."""
    keys = ", ".join(names)
    if not isinstance(item, Mapping):
        raise IrodoriError(f"{_shown(item)} is not an object: {what} has {keys}")
    if missing := [name for name in names if name not in item]:
        raise IrodoriError(f"{missing[0]} is missing: {what} has {keys}")
    if unknown := [name for name in item if name not in names]:
        raise IrodoriError(f"unknown key {_shown(unknown[0])}: {what} has {keys}")
    return [item[name] for name in names]


def _shown(value: Any) -> str:
    """Return a value as JSON, shortened for messages."""
    return shorten(json.dumps(value, default=str), 40, placeholder="…")
