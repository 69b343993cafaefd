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


class Writer:
    """Writes a value; the same object twice is written once and then referred to."""

    def __init__(self, versions=True, cuda=False):
        self.parts = []
        self.numbers = {}
        self.kept = []
        self.versions = versions
        self.cuda = cuda

    def bytes(self):
        return b"".join(self.parts)

    def int(self, value):
        self.parts.append(struct.pack("<i", value))

    def long(self, *values):
        self.parts.append(struct.pack(f"<{len(values)}q", *values))

    def string(self, text):
        raw = text.encode()
        self.int(len(raw))
        self.parts.append(raw)

    def begin(self, value, kind):
        """Type and number; whether what follows has to be written."""
        self.int(kind)
        new = id(value) not in self.numbers
        if new:
            self.numbers[id(value)] = len(self.numbers) + 1
            self.kept.append(value)
        self.int(self.numbers[id(value)])
        return new

    def object_class(self, name):
        if self.versions:
            self.string("V 1")
        self.string(name)

    def write(self, value):
        if isinstance(value, Raw):
            self.parts.append(value.content)
        elif value is None:
            self.int(0)
        elif isinstance(value, bool):
            self.int(5)
            self.int(int(value))
        elif isinstance(value, int | float):
            self.int(1)
            self.parts.append(struct.pack("<d", value))
        elif isinstance(value, str):
            self.int(2)
            self.string(value)
        elif isinstance(value, np.ndarray):
            self.tensor(value)
        elif isinstance(value, Obj):
            if self.begin(value, 4):
                self.object_class(value.name)
                self.write(value.fields)
        elif isinstance(value, Pairs):
            self.entries(value, value.pairs)
        elif isinstance(value, list):
            self.entries(value, list(enumerate(value, 1)))
        else:
            self.entries(value, list(value.items()))
        return self

    def entries(self, table, pairs):
        if self.begin(table, 3):
            self.int(len(pairs))
            for key, value in pairs:
                self.write(key)
                self.write(value)

    def tensor(self, array):
        """A tensor on a storage of its own, or on that of the array that it is a view of."""
        if not self.begin(array, 4):
            return
        owner = array if array.base is None else array.base
        kind = KINDS[array.dtype.name]
        family = "Cuda" if self.cuda else kind
        self.object_class(f"torch.{family}Tensor")
        size = array.itemsize
        dimensions = array.ndim if array.size else 0
        self.int(dimensions)
        if dimensions:
            self.long(*array.shape)
            self.long(*(stride // size for stride in array.strides))
        address, start = (each.__array_interface__["data"][0] for each in (array, owner))
        self.long((address - start) // size + 1)
        if not array.size:
            self.int(0)
        elif self.begin_storage(owner):
            self.object_class(f"torch.{family}Storage")
            self.long(owner.size)
            self.parts.append(owner.tobytes())

    def begin_storage(self, owner):
        self.int(4)
        key = ("storage", id(owner))
        new = key not in self.numbers
        if new:
            self.numbers[key] = len(self.numbers) + 1
            self.kept.append(owner)
        self.int(self.numbers[key])
        return new


def dumps(value, **options):
    """The bytes of a file that holds a value."""
    return Writer(**options).write(value).bytes()


def function():
    """A Lua function: its code, and a table of what it refers to."""
    code, upvalues = b"\x1bLuaQ", struct.pack("<3i", 3, 999_998, 0)
    return Raw(struct.pack("<3i", 8, 999_999, len(code)) + code + upvalues)
