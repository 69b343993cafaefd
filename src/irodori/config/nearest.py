"""The names that a misspelt one may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 12
"""All names are listed if they are at most this many, and none is near."""


def nearest(name: object, known: Iterable[object]) -> str:
    """Return "; did you mean x, y?", or the known names where none is near, or nothing."""
    names = list(dict.fromkeys(str(item) for item in known))
    if near := get_close_matches(str(name), names, n=3):
        return f"; did you mean {', '.join(near)}?"
    if 0 < len(names) <= LISTED:
        return f"; there are: {', '.join(names)}"
    return ""
