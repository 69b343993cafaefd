"""Writes Torch7's binary serialization: the tests' own, from its documentation."""

import struct

import numpy as np

KINDS = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "int64": "Long",
    "uint8": "Byte",
}


class Obj:
    """An object of a Lua class with its fields."""

    def __init__(self, name, **fields):
        self.name = name
        self.fields = fields


class Pairs:
    """A table whose keys may be tables."""

    def __init__(self):
        self.pairs = []


class Raw:
    """Bytes that are written as they are, where a value should be."""

    def __init__(self, content):
        self.content = content


def ints(*values):
    return struct.pack(f"<{len(values)}i", *values)


def longs(*values):
    return struct.pack(f"<{len(values)}q", *values)


def text(value):
    raw = value.encode()
    return ints(len(raw)) + raw


class Writer:
    """Writes a value; the same object twice is written once and then referred to."""

    def __init__(self, versions=True, cuda=False):
        self.parts = []
        self.numbers = {}
        self.kept = []
        self.version = text("V 1") if versions else b""
        self.cuda = cuda

    def begin(self, value, kind, key=None):
        """Write type and number; return whether what follows has to be written."""
        key = key or id(value)
        new = key not in self.numbers
        number = self.numbers.setdefault(key, len(self.numbers) + 1)
        self.kept.append(value)
        self.parts.append(ints(kind, number))
        return new

    def write(self, value):
        if isinstance(value, Raw):
            self.parts.append(value.content)
        elif value is None:
            self.parts.append(ints(0))
        elif isinstance(value, bool):
            self.parts.append(ints(5, int(value)))
        elif isinstance(value, int | float):
            self.parts.append(ints(1) + struct.pack("<d", value))
        elif isinstance(value, str):
            self.parts.append(ints(2) + text(value))
        elif isinstance(value, np.ndarray):
            self.tensor(value)
        elif isinstance(value, Obj):
            if self.begin(value, 4):
                self.parts.append(self.version + text(value.name))
                self.write(value.fields)
        elif self.begin(value, 3):
            pairs = value.pairs if isinstance(value, Pairs) else value
            if isinstance(value, dict):
                pairs = list(value.items())
            elif isinstance(value, list):
                pairs = list(enumerate(value, 1))
            self.parts.append(ints(len(pairs)))
            for key, each in pairs:
                self.write(key)
                self.write(each)

    def tensor(self, array):
        """A tensor on a storage of its own, or on that of the array that it is a view of."""
        if not self.begin(array, 4):
            return
        owner = array if array.base is None else array.base
        family = "Cuda" if self.cuda else KINDS[array.dtype.name]
        size = array.itemsize
        shape = array.shape if array.size else ()
        strides = [stride // size for stride in array.strides] if array.size else ()
        start, first = (x.__array_interface__["data"][0] for x in (owner, array))
        self.parts.append(self.version + text(f"torch.{family}Tensor") + ints(len(shape)))
        self.parts.append(longs(*shape, *strides, (first - start) // size + 1))
        if not array.size:
            self.parts.append(ints(0))
        elif self.begin(owner, 4, ("storage", id(owner))):
            self.parts.append(self.version + text(f"torch.{family}Storage"))
            self.parts.append(longs(owner.size) + owner.tobytes())


def dumps(value, **options):
    """Return the bytes of a file that holds a value."""
    writer = Writer(**options)
    writer.write(value)
    return b"".join(writer.parts)


def function():
    """A Lua function: its code, and a table of what it refers to."""
    code = b"\x1bLuaQ"
    return Raw(ints(8, 999_999, len(code)) + code + ints(3, 999_998, 0))
