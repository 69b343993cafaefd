"""Annotations of a key that a comparison of runs reads.

alpha: Annotated[float, Label("α = {}")] = 1.0
seed: Annotated[int, NoEffect()] = 0
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

Note = TypeVar("Note")


@dataclass(frozen=True)
class Label:
    """The words for a key's value in the name of a variant, in which labeled keys come first.

    text: with {} for the value. false: where the value is false, in place of `text`.
    """

    text: str
    false: str | None = None

    def __call__(self, value: Any) -> str:
        """Return the words for a value."""
        if value is False and self.false is not None:
            return self.false
        return self.text.format(f"{value:g}" if isinstance(value, float) else value)


@dataclass(frozen=True)
class NoEffect:
    """Marks a key that does not change what is learned, so that it makes no other variant.

    keys: of a node, the names of the keys below it that are meant; empty: the whole node.
    """

    keys: tuple[str, ...] = ()


def notes(settings: type, kind: type[Note]) -> Iterator[tuple[str, Note]]:
    """Yield the names of a dataclass's fields that have notes of a kind, and the notes."""
    hints = get_type_hints(settings, include_extras=True)
    for field in fields(settings):
        hint = hints[field.name]
        for note in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
            if isinstance(note, kind):
                yield field.name, note
