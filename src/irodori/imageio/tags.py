"""Directories of tags, which TIFF files and EXIF blocks are made of (TIFF 6.0, section 2).

Values are kept as the bytes that they are: nothing is lost by decoding and encoding text, types
or unknown tags.
"""

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np

EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
"""Tags that point to a directory of their own."""

SHORT, LONG, RATIONAL, UNDEFINED = 3, 4, 5, 7

# Bytes of a value of each kind, and of the numbers that it is made of.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_NUMBERS = {3: "u2", 4: "u4", 5: "u4", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8", 13: "u4"}
_NUMBERS |= {1: "u1", 6: "i1", 16: "u8", 17: "i8", 18: "u8"}

_LARGEST = 1 << 24
"""Bytes of the largest value that is read; larger ones are layers of image editors."""


class DamagedError(Exception):
    """No directory where one should be."""


class Field(NamedTuple):
    """The value of a tag; place: where it lies in what it was read from, in bytes."""

    kind: int
    length: int
    value: bytes
    place: int = 0


@dataclass
class Directory:
    """Tags and their values; order: "<" or ">", how numbers are stored.

    children: directories by the tags that point to them. following: the place of the pointer to
    the next directory (a thumbnail's, a second page's), and what it says. big: BigTIFF's numbers.
    """

    order: str
    fields: dict[int, Field] = field(default_factory=dict)
    children: dict[int, "Directory"] = field(default_factory=dict)
    following: tuple[int, int] = (0, 0)
    big: bool = False

    def numbers(self, tag: int) -> tuple[float, ...]:
        """The numbers of a tag, () if it has none; of rationals, their quotients."""
        found = self.fields.get(tag)
        if found is None or found.kind not in _NUMBERS:
            return ()
        numbers = np.frombuffer(found.value, self.order + _NUMBERS[found.kind])
        if found.kind in (5, 10):
            pairs = numbers.reshape(-1, 2).tolist()
            return tuple(above / below if below else 0.0 for above, below in pairs)
        return tuple(numbers.tolist())

    def number(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return int(next(iter(self.numbers(tag)), default))

    def end(self) -> int:
        """Where the last value ends, in bytes."""
        ends = [field.place + len(field.value) for field in self.fields.values()]
        return max([self.following[0] + 4, *ends, *(one.end() for one in self.children.values())])


def read_directory(file: BinaryIO) -> Directory:
    """The first directory of a TIFF file, BigTIFF file or EXIF block, with its children.

    Values that lie outside the file are left out.

    Raises:
        DamagedError: the header or the directory is not there.
    """
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    magic = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
    if magic not in (42, 43) or (magic == 43 and len(head) < 16):
        raise DamagedError("its header")
    big = magic == 43
    offset = struct.unpack(f"{order}{'Q' if big else 'L'}", head[8:16] if big else head[4:8])[0]
    return read_at(file, offset, order, big)


def read_at(
    file: BinaryIO, offset: int, order: str, big: bool = False, depth: int = 0
) -> Directory:
    """The directory at an offset of a file; big: BigTIFF's wider numbers.

    Raises:
        DamagedError: it is not there.
    """
    counted, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "L")
    wide = struct.calcsize(f"{order}{pointer}")
    start = offset + struct.calcsize(f"{order}{counted}")
    (count,) = _unpack(file, offset, order + counted)
    if count > 0xFFFF:
        raise DamagedError(f"its directory claims {count} tags")
    table = _bytes(file, start, entry * count)
    directory = Directory(order, big=big)
    end = start + entry * count
    try:
        directory.following = end, _unpack(file, end, order + pointer)[0]
    except DamagedError:
        directory.following = end, 0
    for number in range(count):
        place = number * entry
        tag, kind, length = struct.unpack_from(f"{order}HH{pointer}", table, place)
        size = _SIZES.get(kind, 0) * length
        if not 0 < size <= _LARGEST:
            continue
        where = start + place + entry - wide
        if size > wide:
            (where,) = struct.unpack_from(order + pointer, table, place + entry - wide)
        try:
            value = _bytes(file, where, size)
            if tag in (EXIF, GPS, INTEROPERABILITY):
                target = Directory(order, {tag: Field(kind, length, value)}).number(tag, 0)
                if depth < 2:
                    directory.children[tag] = read_at(file, target, order, big, depth + 1)
            else:
                directory.fields[tag] = Field(kind, length, value, where)
        except DamagedError:
            continue
    return directory


def to_bytes(directory: Directory, base: int) -> bytes:
    """A directory, its children and all their values, as bytes to stand at `base` (even)."""
    tags = sorted({*directory.fields, *directory.children})
    values_from = base + 2 + 12 * len(tags) + 4
    table, values = bytearray(struct.pack(f"{directory.order}H", len(tags))), bytearray()
    for tag in tags:
        if tag in directory.children:
            kind, count = LONG, 1
            value = struct.pack(f"{directory.order}L", values_from + len(values))
            values += to_bytes(directory.children[tag], values_from + len(values))
        else:
            kind, count, value, _ = directory.fields[tag]
            if len(value) > 4:
                offset = struct.pack(f"{directory.order}L", values_from + len(values))
                values += value + bytes(len(value) % 2)
                value = offset
        table += struct.pack(f"{directory.order}HHL", tag, kind, count) + value.ljust(4, b"\0")
    return bytes(table + bytes(4) + values)


def header(order: str) -> bytes:
    """The eight bytes before a directory that stands at 8."""
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 8)


def in_order(directory: Directory, order: str) -> Directory:
    """The same directory with its numbers stored in another order."""
    if order == directory.order:
        return directory
    fields = {}
    for tag, one in directory.fields.items():
        value = one.value
        if one.kind in _NUMBERS:
            value = np.frombuffer(value, _NUMBERS[one.kind]).byteswap().tobytes()
        fields[tag] = one._replace(value=value)
    children = {tag: in_order(child, order) for tag, child in directory.children.items()}
    return Directory(order, fields, children)


def parse(block: bytes | None) -> Directory | None:
    """The directory of an EXIF block, None if there is none or it is damaged."""
    try:
        return read_directory(io.BytesIO(block)) if block else None
    except DamagedError:
        return None


def _unpack(file: BinaryIO, place: int, form: str) -> tuple[int, ...]:
    return struct.unpack(form, _bytes(file, place, struct.calcsize(form)))


def _bytes(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    found = file.read(size)
    if len(found) < size:
        raise DamagedError("its directory is cut off")
    return found
