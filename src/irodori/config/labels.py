"""Annotations of configuration keys for the comparison of runs.

alpha: Annotated[float, Label("α = {}")] = 1.0
seed: Annotated[int, NoEffect()] = 0
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

Note = TypeVar("Note")


@dataclass(frozen=True)
class Label:
    """How a key's value appears in the names of variants; labeled keys come first.

    text: text with {} for the value. false: text that replaces it if the value is false.
    """

    text: str
    false: str | None = None

    def __call__(self, value: Any) -> str:
        """Return the text for a value."""
        if value is False and self.false is not None:
            return self.false
        return self.text.format(f"{value:g}" if isinstance(value, float) else value)


@dataclass(frozen=True)
class NoEffect:
    """Marks a key that doesn't affect learning, so that it doesn't distinguish variants.

    keys: names of the keys below a node that are marked; empty: the whole node.
    """

    keys: tuple[str, ...] = ()


def notes(settings: type, kind: type[Note]) -> Iterator[tuple[str, Note]]:
    """Yield names and notes of a dataclass's fields that are annotated with notes of a kind."""
    hints = get_type_hints(settings, include_extras=True)
    for field in fields(settings):
        hint = hints[field.name]
        for note in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
            if isinstance(note, kind):
                yield field.name, note
