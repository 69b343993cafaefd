"""What a Torch7 file holds, as plain data."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irodori.utils.errors import IrodoriError

Array = NDArray[Any]


@dataclass(eq=False)
class Table:
    """A Lua table; the same table twice in a file is one object, and may hold itself.

    Attributes:
        entries: by key, which is a number (a float, that an int finds too), a string, or a table or
            object by its identity.
    """

    entries: dict[Any, "Value"] = field(default_factory=dict)

    def get(self, key: Any) -> "Value":
        """The value of a key; None, Lua's nil, if there is none."""
        return self.entries.get(key)

    def listed(self) -> list["Value"]:
        """Values of the keys 1, 2, 3 … up to the first that is missing."""
        values: list[Value] = []
        while (value := self.get(len(values) + 1)) is not None:
            values.append(value)
        return values


@dataclass(eq=False)
class Object:
    """An object of a Lua class, such as a layer: its class's name and its fields."""

    name: str
    fields: Table = field(default_factory=Table)

    def get(self, key: str) -> "Value":
        """The value of a field; None if there is none."""
        return self.fields.get(key)


@dataclass(eq=False)
class Storage:
    """Numbers as they lie in the file; nothing is copied."""

    kind: str
    numbers: Array


@dataclass(eq=False)
class Tensor:
    """A view into a storage; `offset`, counted from 0, and `strides` are in elements.

    The reader has seen to it that no element lies outside of the storage.
    """

    storage: Storage | None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def count(self) -> int:
        """Number of elements; 0 of a tensor without dimensions, as in Torch."""
        count = 1 if self.shape else 0
        for size in self.shape:
            count *= size
        return count

    def array(self) -> Array:
        """The elements as a read-only array on the file's own bytes.

        Raises:
            IrodoriError: the tensor repeats elements, so that it says more than the file holds.
        """
        count = self.count()
        if self.storage is None or not count:
            return np.empty(self.shape or 0)
        if count > len(self.storage.numbers):
            raise IrodoriError(f"a tensor of {count:,} numbers of which most are repeated")
        return np.lib.stride_tricks.as_strided(
            self.storage.numbers[self.offset :],
            self.shape,
            [stride * self.storage.numbers.itemsize for stride in self.strides],
            writeable=False,
        )


Value = None | bool | float | str | Table | Object | Storage | Tensor
