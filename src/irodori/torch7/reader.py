"""Reading Torch7's binary serialization (64-bit little-endian) as plain data.

Every value begins with an int32 type. Tables and objects continue with an int32 index; an index
seen before refers to the earlier value, and nothing follows. An object then has its version ("V 1";
missing in very old files) and its class name, both strings (an int32 length and bytes), followed by
the table of its fields, except for two families:

- a storage: int64 size, then the numbers; - a tensor: int32 dimensions, int64 sizes, int64 strides,
int64 position of the first element in the storage, counted from 1, and then the storage, a value.

Source: the documentation of torch7 (File, serialization). The package torchfile also reads it, but
doesn't verify sizes of tensors, so that a damaged file may read arbitrary memory.
"""

import math
import re
import struct
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irodori.utils.errors import IrodoriError

NIL, NUMBER, STRING, TABLE, OBJECT, BOOLEAN = range(6)
FUNCTIONS = (6, 7, 8)
NUMBERS = {
    "Byte": "u1",
    "Char": "i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "Half": "<f2",
    "Float": "<f4",
    "Double": "<f8",
}
"""NumPy types of storages. `torch.CudaTensor`, without a type, contains floats."""
DEPTH = 20_000
"""Python's recursion limit while a file is read: twice the allowed nesting of values, which is some
hundreds for a network of some hundred layers."""
DIMENSIONS = 16
_TENSOR = re.compile(r"torch\.(Cuda)?([A-Z][a-z]+)?(Tensor|Storage)")


class Table(dict[Any, Any]):
    """A Lua table, compared by identity; keys are numbers, strings, tables and objects."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def listed(self) -> list[Any]:
        """Return the values of the keys 1, 2, 3, … up to the first missing one."""
        values: list[Any] = []
        while (value := self.get(len(values) + 1)) is not None:
            values.append(value)
        return values


@dataclass(eq=False)
class Object:
    """An object of a Lua class, such as a layer: class name and fields."""

    name: str
    fields: Table

    def get(self, field: str) -> Any:
        """Return the value of a field; None if it is missing."""
        return self.fields.get(field)


Value = None | bool | float | str | Table | Object | NDArray[Any]


def read(content: bytes) -> Value:
    """Read the first value of a file's content; functions are read as nil and never executed.

    Raises:
        IrodoriError: the content isn't Torch7's binary format, is truncated, or claims a part
            larger than the file.
    """
    if re.match(rb"[0-8]\r?\n", content[:3]):
        raise IrodoriError(
            "is Torch7's text format; save it in Torch as binary: torch.save(name, object)"
        )
    reader, limit = _Reader(content), sys.getrecursionlimit()
    # A chain of layers exceeds Python's default limit.
    sys.setrecursionlimit(DEPTH)
    try:
        return reader.value()
    except RecursionError:
        raise reader.error(f"values are nested more than {DEPTH // 2:,} levels deep") from None
    finally:
        sys.setrecursionlimit(limit)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0
        self.numbered: dict[int, Value] = {}

    def value(self) -> Value:
        kind = self._int()
        if kind == NIL:
            return None
        if kind == NUMBER:
            return float(self._unpack("<d"))
        if kind == STRING:
            return self._string()
        if kind == BOOLEAN:
            return self._int() != 0
        if kind not in (TABLE, OBJECT, *FUNCTIONS):
            raise self.error(f"not a binary file of Torch7: unknown type {kind}")
        if kind == FUNCTIONS[0]:  # has no index
            self._skip_function()
            return None
        number = self._int()
        if number in self.numbered:
            return self.numbered[number]
        if kind == TABLE:
            self.numbered[number] = table = Table()
            for _ in range(self._int()):
                key = self.value()
                if not isinstance(key, float | str | Table | Object) or isinstance(key, bool):
                    raise self.error(f"a table's key is a {type(key).__name__}")
                table[key] = self.value()
            return table
        if kind == OBJECT:
            return self._object(number)
        self.numbered[number] = None
        self._skip_function()
        return None

    def _skip_function(self) -> None:
        """Skip a function's code, and the variables that it refers to."""
        self._skip(self._int())
        self.value()

    def _object(self, number: int) -> Value:
        version = self._string()
        name = self._string() if re.fullmatch(r"V \d+", version) else version
        match = _TENSOR.fullmatch(name)
        kind = match and (match[2] or (match[1] and "Float"))
        if match and kind in NUMBERS:
            dtype = np.dtype(NUMBERS[kind])
            self.numbered[number] = None
            found = self._storage(dtype) if match[3] == "Storage" else self._tensor(dtype)
            self.numbered[number] = found
            return found
        self.numbered[number] = made = Object(name, Table())
        fields = self.value()
        if not isinstance(fields, Table):
            raise self.error(f"the fields of an object of class {name[:60]!r} are not a table")
        made.fields = fields
        return made

    def _storage(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        size: int = self._unpack("<q")
        start = self.position
        self._skip(size * dtype.itemsize)
        return np.frombuffer(self.content, dtype, size, start) if size else np.empty(0, dtype)

    def _tensor(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        dimensions = self._int()
        if not 0 <= dimensions <= DIMENSIONS:
            raise self.error(f"a tensor has {dimensions} dimensions")
        shape = [self._unpack("<q") for _ in range(dimensions)]
        strides = [self._unpack("<q") for _ in range(dimensions)]
        offset = self._unpack("<q") - 1
        storage = self.value()
        if not shape or storage is None:
            return np.empty(0, dtype)
        if not (isinstance(storage, np.ndarray) and storage.ndim == 1 and storage.dtype == dtype):
            raise self.error("a tensor and its storage have different types")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if min(*shape, *strides) < 0 or not 0 <= offset <= last < len(storage):
            raise self.error(f"a tensor exceeds its storage of {len(storage):,} numbers")
        if math.prod(shape) > len(storage):
            raise self.error(f"a tensor of {math.prod(shape):,} numbers, most of them repeated")
        return np.lib.stride_tricks.as_strided(
            storage[offset:], shape, [step * dtype.itemsize for step in strides], writeable=False
        )

    def _string(self) -> str:
        size = self._int()
        start = self.position
        self._skip(size)
        return self.content[start : self.position].decode("utf-8", "backslashreplace")

    def _int(self) -> int:
        return int(self._unpack("<i"))

    def _unpack(self, form: str) -> Any:
        start = self.position
        self._skip(struct.calcsize(form))
        return struct.unpack_from(form, self.content, start)[0]

    def _skip(self, size: int) -> None:
        """Skip a part of this size, which must exist."""
        if not 0 <= size <= len(self.content) - self.position:
            raise self.error(f"ends before a part of {size:,} bytes")
        self.position += size

    def error(self, reason: str) -> IrodoriError:
        return IrodoriError(f"{reason} (at byte {self.position:,})")
