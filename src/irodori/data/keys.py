"""The keys of a shard, kept as one piece of text: millions of them fit into little memory."""

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np


class Keys(Sequence[str]):
    """A sequence of texts that is equal to any sequence of the same texts.

    A Python string takes 50 bytes and more beside its letters, and every loader process that
    merely looks at it gets a copy of the memory page it lies on.
    """

    __slots__ = ("_ends", "_text")

    def __init__(self, keys: Iterable[str] = ()) -> None:
        encoded = [key.encode("utf-8", "surrogateescape") for key in keys]
        self._text = b"".join(encoded)
        wide = np.uint16 if len(self._text) < 1 << 16 else np.uint32
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=wide)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> "Keys": ...

    def __getitem__(self, place: "int | slice") -> "str | Keys":
        if isinstance(place, slice):
            return Keys(self[i] for i in range(*place.indices(len(self))))
        i = range(len(self))[place]
        return self._text[self._ends[i] : self._ends[i + 1]].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Keys):
            return self._text == other._text and bool(np.array_equal(self._ends, other._ends))
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Keys({list(self)})"
