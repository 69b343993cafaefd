"""Torch7's binary serialization, as 64-bit little-endian machines write it, without running it.

Every value begins with an int32 that says its type. Tables and objects go on with an int32 that
numbers them; a number that was seen before stands for the value that had it, and nothing follows.
An object then has its version ("V 1"; very old files leave it out) and its class's name, both
strings (an int32 length and bytes). What follows is the table of its fields, but for two families:

- a storage: int64 size, then the numbers;
- a tensor: int32 dimensions, int64 sizes, int64 strides, int64 place of the first element in the
  storage, counted from 1, and then the storage, a value.

Source: the documentation of torch7 (File, serialization).
"""

import mmap
import re
import struct
from collections.abc import Generator
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from irodori.torch7.values import Object, Storage, Table, Tensor, Value
from irodori.utils.errors import IrodoriError

NIL, NUMBER, STRING, TABLE, OBJECT, BOOLEAN = range(6)
FUNCTIONS = (6, 7, 8)
"""A function without a number, and two kinds with one."""

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
"""NumPy's types of what storages hold. `torch.CudaTensor`, with no type, holds floats."""

CLASSES = frozenset(
    [
        "graph.Edge",
        "graph.Graph",
        "graph.Node",
        "nngraph.Node",
        "nn.gModule",
        "nn.Sequential",
        "nn.ConcatTable",
        "nn.ParallelTable",
        "nn.SelectTable",
        "nn.JoinTable",
        "nn.Identity",
        "nn.Copy",
        "nn.Contiguous",
        "nn.Dropout",
        "nn.View",
        "nn.Reshape",
        "nn.Replicate",
        "nn.Unsqueeze",
        "nn.Squeeze",
        "nn.SpatialConvolution",
        "nn.SpatialConvolutionMM",
        "cudnn.SpatialConvolution",
        "nn.Linear",
        "nn.BatchNormalization",
        "nn.SpatialBatchNormalization",
        "cudnn.BatchNormalization",
        "cudnn.SpatialBatchNormalization",
        "nn.ReLU",
        "cudnn.ReLU",
        "nn.Sigmoid",
        "cudnn.Sigmoid",
        "nn.SoftMax",
        "nn.LogSoftMax",
        "cudnn.SoftMax",
        "cudnn.LogSoftMax",
        "nn.SpatialUpSamplingNearest",
    ]
)
"""Classes whose objects are the table of their fields."""

LEFT_BY_SHARING = "accUpdateGradParameters"
"""The field in which Torch's `Module:share` leaves a function, in every layer with shared weights.
It trains the layer and says nothing about it; functions anywhere else are refused."""

DEPTH = 10_000
"""Values within values; a network of some hundred layers reaches some hundreds."""
DIMENSIONS = 16
SMALLEST_ENTRY = 12
"""Bytes of a table's entry, at least: an empty string and nil."""

_TENSOR = re.compile(r"torch\.(Cuda)?([A-Z][a-z]+)?(Tensor|Storage)")


def read_file(path: Path) -> Value:
    """The value that a Torch7 file holds; tensors stay in the file until they are used.

    Raises:
        IrodoriError: there is no such file, or see `read`.
        OSError: it can't be read.
    """
    if not path.is_file():
        raise IrodoriError(f"{path}: no such file")
    if not path.stat().st_size:
        raise IrodoriError(f"{path}: is empty")
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return read(content)
    except IrodoriError as error:
        raise IrodoriError(f"{path}: {error}") from None


def read(content: bytes | mmap.mmap) -> Value:
    """The first value of a file's content.

    Raises:
        IrodoriError: it isn't Torch7's binary format, ends too early, says of a part that it is
            larger than the file, or holds functions or classes that a network needs not.
    """
    if re.match(rb"[0-8]\r?\n", content[:3]):
        raise IrodoriError(
            "is Torch7's text format; save it in Torch as binary: torch.save(name, object)"
        )
    return _Reader(content).value()


_Reading = Generator[bool, Value, Value]
"""Reads a value; asks for one that lies within by yielding whether it may be a function."""


class _Reader:
    def __init__(self, content: bytes | mmap.mmap) -> None:
        self.content = content
        self.end = len(content)
        self.place = 0
        self.numbered: dict[int, Value] = {}

    def value(self) -> Value:
        """The value at this place, with all that lies within."""
        # A stack of its own: Python's isn't deep enough for a chain of layers.
        stack: list[_Reading] = [self._value(False)]
        found: Value = None
        while stack:
            try:
                may_be_function = stack[-1].send(found)
            except StopIteration as finished:
                stack.pop()
                found = finished.value
                continue
            if len(stack) == DEPTH:
                raise self._refusal(f"more than {DEPTH:,} values lie within each other")
            stack.append(self._value(may_be_function))
            found = None
        return found

    def _value(self, may_be_function: bool) -> _Reading:
        kind = self._int()
        if kind == NIL:
            return None
        if kind == NUMBER:
            number: float = self._unpack("<d")
            return number
        if kind == STRING:
            return self._string()
        if kind == BOOLEAN:
            return self._int() != 0
        if kind in FUNCTIONS:
            if not may_be_function:
                raise self._refusal("holds a function, and only numbers and layers are read")
            if kind == FUNCTIONS[0] or self._is_new(self._int()):
                self._skip(self._int())
                # The variables that the function refers to.
                yield False
            return None
        if kind not in (TABLE, OBJECT):
            raise self._refusal(f"not a binary file of Torch7: {kind} is no type of value")
        number_of_value = self._int()
        if number_of_value in self.numbered:
            return self.numbered[number_of_value]
        if kind == TABLE:
            table = Table()
            self.numbered[number_of_value] = table
            yield from self._fill(table)
            return table
        return (yield from self._object(number_of_value))

    def _fill(self, table: Table) -> _Reading:
        size = self._int()
        if not 0 <= size * SMALLEST_ENTRY <= self.end - self.place:
            raise self._refusal(f"ends before the {size:,} entries of a table")
        for _ in range(size):
            key = yield False
            if key is None or isinstance(key, bool | Tensor | Storage):
                raise self._refusal(f"a table's key is a {type(key).__name__}")
            table.entries[key] = yield key == LEFT_BY_SHARING
        return table

    def _object(self, number: int) -> _Reading:
        version = self._string()
        name = self._string() if re.fullmatch(r"V \d+", version) else version
        tensor = _TENSOR.fullmatch(name)
        cuda, kind, family = tensor.groups() if tensor else (None, None, None)
        if cuda and not kind:
            kind = "Float"
        if kind in NUMBERS:
            if family == "Storage":
                self.numbered[number] = storage = self._storage(kind)
                return storage
            self.numbered[number] = view = yield from self._tensor(kind)
            return view
        if name not in CLASSES:
            shown = shorten(repr(name), 60, placeholder="…")
            raise self._refusal(f"holds an object of class {shown}, which is no layer known here")
        made = Object(name)
        self.numbered[number] = made
        fields = yield False
        if not isinstance(fields, Table):
            raise self._refusal(f"the fields of a {name} are no table")
        made.fields = fields
        return made

    def _storage(self, kind: str) -> Storage:
        dtype = np.dtype(NUMBERS[kind])
        size: int = self._unpack("<q")
        start = self.place
        self._skip(size * dtype.itemsize)
        if not size:
            return Storage(kind, np.empty(0, dtype))
        return Storage(kind, np.frombuffer(self.content, dtype, size, start))

    def _tensor(self, kind: str) -> Generator[bool, Value, Tensor]:
        dimensions = self._int()
        if not 0 <= dimensions <= DIMENSIONS:
            raise self._refusal(f"a tensor has {dimensions} dimensions")
        shape = tuple(self._unpack("<q") for _ in range(dimensions))
        strides = tuple(self._unpack("<q") for _ in range(dimensions))
        offset = self._unpack("<q") - 1
        storage = yield False
        if storage is not None and not (isinstance(storage, Storage) and storage.kind == kind):
            raise self._refusal(f"the numbers of a tensor of type {kind} are something else")
        tensor = Tensor(storage, offset, shape, strides)
        if min(shape, default=0) < 0 or min(strides, default=0) < 0:
            raise self._refusal("a tensor has a size or stride below 0")
        if tensor.count():
            held = len(storage.numbers) if storage else 0
            last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
            if not 0 <= offset <= last < held:
                raise self._refusal(f"a tensor reaches beyond its {held:,} numbers")
        return tensor

    def _is_new(self, number: int) -> bool:
        new = number not in self.numbered
        self.numbered.setdefault(number, None)
        return new

    def _string(self) -> str:
        size = self._int()
        start = self.place
        self._skip(size)
        return self.content[start : self.place].decode("utf-8", "backslashreplace")

    def _int(self) -> int:
        number: int = self._unpack("<i")
        return number

    def _unpack(self, form: str) -> Any:
        start = self.place
        self._skip(struct.calcsize(form))
        return struct.unpack_from(form, self.content, start)[0]

    def _skip(self, size: int) -> None:
        """Go on by a part of this size, which has to be there."""
        if not 0 <= size <= self.end - self.place:
            raise self._refusal(f"ends before a part of {size:,} bytes")
        self.place += size

    def _refusal(self, reason: str) -> IrodoriError:
        return IrodoriError(f"{reason} (at byte {self.place:,})")
