"""EXIF blocks and TIFF directories, edited without changing the bytes of other tags.

A block begins with the TIFF header, without JPEG's prefix "Exif". It is edited by appending new
directories, since maker notes contain offsets into it and nothing may move.
"""

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as Tag

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD8 = 1, 2, 3, 4, 5, 7, 18
_CHILDREN = (IFD.Exif, IFD.GPSInfo, IFD.Interop)  # tags that point to child directories

STORAGE = {254, 255, *range(256, 260), *range(262, 267), 273, *range(277, 282), 284}
STORAGE |= {*range(288, 294), 301, *range(317, 326), 330, *range(332, 348), *range(512, 533)}
STORAGE |= {700, 32997, 33723, 34377, 34675, 37724, 50255, 52545}
"""Tags that are not copied: pixel storage (sizes, strips, tiles, tables, colors, layers); XMP, IPTC
and the profile, which are handled separately; and C2PA's record, whose signature is only valid for
the original file."""

# NumPy types of the numbers in each kind of value; rationals have two each.
_NUMBERS = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4"}
_NUMBERS |= {10: "i4", 11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_RATIONALS = (RATIONAL, 10)
_SIZES = {kind: np.dtype(name).itemsize for kind, name in _NUMBERS.items()}
_SIZES |= dict.fromkeys(_RATIONALS, 8)
MAX_DPI = 1e6
"""Upper bound of dots per inch; larger values are treated as damaged."""
_LARGEST = 1 << 24  # largest value in bytes; larger ones are layers of image editors
_MAX_BYTES = 1 << 26  # bytes of all values; overlapping ones could claim terabytes


class DamagedError(Exception):
    """Raised if a directory is missing or damaged."""


class Field(NamedTuple):
    """The value of a tag; place: its original offset, 0 for a new value."""

    kind: int
    value: bytes
    place: int = 0


@dataclass
class Directory:
    """A TIFF directory: tags and their values.

    order: byte order, "<" or ">". big: whether the file is a BigTIFF, with 64-bit counts and
    offsets. children: directories by the tags that point to them. next: offset of the next
    directory (a thumbnail or another page), 0 for none. cut_off: tags whose values lie outside the
    file.
    """

    order: str = "<"
    fields: dict[int, Field] = field(default_factory=dict)
    children: dict[int, "Directory"] = field(default_factory=dict)
    next: int = 0
    cut_off: set[int] = field(default_factory=set)
    big: bool = False

    def numbers(self, tag: int) -> list[float]:
        """Return the numbers of a tag (quotients for rationals); empty if it is missing."""
        found = self.fields.get(tag)
        if found is None or found.kind not in _NUMBERS:
            return []
        numbers = np.frombuffer(found.value, self.order + _NUMBERS[found.kind])
        if found.kind in _RATIONALS:
            return [above / (below or np.inf) for above, below in numbers.reshape(-1, 2).tolist()]
        return list(numbers.tolist())

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first number of a tag as an integer."""
        return int(next(iter(self.numbers(tag)), default))

    def value(self, tag: int) -> bytes | None:
        """Return the bytes of a tag's value."""
        return self.fields[tag].value if tag in self.fields else None

    def put(self, tag: int, kind: int, *numbers: int) -> None:
        """Set the value of a tag."""
        form = {SHORT: "H", LONG: "L", RATIONAL: "L"}[kind]
        value = struct.pack(f"{self.order}{len(numbers)}{form}", *numbers)
        self.fields[tag] = Field(kind, value)

    @property
    def orientation(self) -> int:
        """Return the orientation, 1 to 8 (tag 0x0112); 0 if missing."""
        number = self.number(Tag.Orientation)
        return number if 1 <= number <= 8 else 0

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Return the horizontal and vertical resolution in dots per inch."""
        x, y = (next(iter(self.numbers(tag)), 0.0) for tag in (Tag.XResolution, Tag.YResolution))
        unit = {2: 1.0, 3: 2.54}.get(self.number(Tag.ResolutionUnit, 2))
        return (x * unit, y * unit) if unit and 0 < x < MAX_DPI and 0 < y < MAX_DPI else None


def read_directories(file: BinaryIO, limit: int = 1) -> list[Directory]:
    """Read the first directories of a TIFF file, BigTIFF file or EXIF block, with their children.

    Values outside the file and further damaged directories are skipped.

    Raises:
        DamagedError: the header or the first directory is missing.
    """
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack(f"{order}H", head[2:4])[0] if order else 0
    if version not in (42, 43):
        raise DamagedError("its header")
    big = version == 43
    (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'L'}", head, 8 if big else 4)
    found: dict[int, Directory] = {}
    budget = [_MAX_BYTES]
    while offset and offset not in found and len(found) < limit:
        try:
            found[offset] = _read_at(file, offset, order, big, budget)
        except DamagedError:
            if not found:
                raise
            break
        offset = found[offset].next
    if not found:
        raise DamagedError("its header")
    return list(found.values())


def parse(block: bytes | None) -> Directory | None:
    """Return the first directory of an EXIF block; None if there is none or it is damaged."""
    if block is None or block[:4] not in (b"II*\0", b"MM\0*"):
        return None
    try:
        return read_directories(io.BytesIO(block))[0]
    except DamagedError:
        return None


def packed(directory: Directory, base: int, in_place: bool = False, big: bool = False) -> bytes:
    """Serialize a directory, its children and their values for the (even) offset `base`.

    in_place: existing values keep their offsets and are not copied. big: write BigTIFF.
    """
    tags = sorted({*directory.fields, *directory.children})
    counted, pointer, wide = ("Q", "Q", 8) if big else ("H", "L", 4)
    table = struct.pack(f"{directory.order}{counted}", len(tags))
    values_at, values = base + len(table) + (4 + 2 * wide) * len(tags) + wide, b""
    for tag in tags:
        if tag in directory.children:
            kind, count, place = IFD8 if big else LONG, 1, values_at + len(values)
            values += packed(directory.children[tag], place, in_place, big)
            value = struct.pack(f"{directory.order}{pointer}", place)
        else:
            kind, value, place = directory.fields[tag]
            count = len(value) // _SIZES[kind]
            if len(value) > wide:
                if not in_place or not place:
                    place = values_at + len(values)
                    values += value + bytes(len(value) % 2)
                value = struct.pack(f"{directory.order}{pointer}", place)
        table += struct.pack(f"{directory.order}HH{pointer}", tag, kind, count)
        table += value.ljust(wide, b"\0")
    return table + bytes(wide) + values


def to_block(directory: Directory) -> bytes | None:
    """Return a directory as an EXIF block; None if it is empty."""
    if not directory.fields and not directory.children:
        return None
    mark = b"II" if directory.order == "<" else b"MM"
    return mark + struct.pack(f"{directory.order}HL", 42, 8) + packed(directory, 8)


def without_storage(directory: Directory, *others: int) -> Directory:
    """Return a directory without the tags of pixel storage and without `others`."""
    left_out = STORAGE.union(others)
    fields = {tag: one for tag, one in directory.fields.items() if tag not in left_out}
    return Directory(directory.order, fields, directory.children)


def for_result(
    block: bytes | None,
    size: tuple[int, int],
    dpi: tuple[float, float] | None,
    software: str | None,
) -> bytes | None:
    """Return a block adapted to the upright sRGB result; None if it would be empty.

    Orientation becomes 1, the dimensions `size` (width, height), the color space sRGB. The
    thumbnail and tags about the original's storage are removed.
    """
    source = parse(block)
    if source is None or block is None:
        source, block = Directory(), b"II*\0" + bytes(4)
    directory = without_storage(source)
    if Tag.Orientation in directory.fields:
        directory.put(Tag.Orientation, SHORT, 1)
    if dpi is not None:
        for tag, dots in zip((Tag.XResolution, Tag.YResolution), dpi, strict=True):
            directory.put(tag, RATIONAL, round(dots * 1000), 1000)
        directory.put(Tag.ResolutionUnit, SHORT, 2)
    if software is not None:
        directory.fields[Tag.Software] = Field(ASCII, software.encode() + b"\0")
    details = directory.children.get(IFD.Exif, Directory())
    for tag, number in (
        (Tag.ColorSpace, 1),
        (Tag.ExifImageWidth, size[0]),
        (Tag.ExifImageHeight, size[1]),
    ):
        if tag in details.fields:
            details.put(tag, SHORT if tag == Tag.ColorSpace else LONG, number)
    rule = details.children.get(IFD.Interop, Directory()).fields
    if rule.get(1, Field(ASCII, b"")).value.startswith(b"R03"):  # marks Adobe RGB
        rule[1] = Field(ASCII, b"R98\0")
    if not directory.fields and not directory.children:
        return None
    content = (_without_thumbnail(block) if source.next else block) + bytes(len(block) % 2)
    pointer = struct.pack(f"{directory.order}L", len(content))
    return content[:4] + pointer + content[8:] + packed(directory, len(content), in_place=True)


def shortened(block: bytes | None, limit: int) -> bytes | None:
    """Shorten a block to at most `limit` bytes by removing the largest values."""
    directory = parse(block)
    if block is None or directory is None or len(block) <= limit:
        return block
    while (block := to_block(directory)) and len(block) > limit:
        homes = [directory, *directory.children.values()]
        sizes = [(len(f.value), tag, home) for home in homes for tag, f in home.fields.items()]
        if not sizes:
            return None
        _, tag, home = max(sizes, key=lambda size: size[:2])
        del home.fields[tag]
    return block


def _read_at(
    file: BinaryIO, offset: int, order: str, big: bool, budget: list[int], depth: int = 0
) -> Directory:
    counted, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "L")
    wide = struct.calcsize(f"={pointer}")
    start = offset + struct.calcsize(f"={counted}")
    (count,) = struct.unpack(order + counted, _read(file, offset, start - offset))
    if count > 0xFFFF:
        raise DamagedError(f"its directory claims {count} tags")
    table = _read(file, start, entry * count)
    directory = Directory(order, big=big)
    try:
        (directory.next,) = struct.unpack(order + pointer, _read(file, start + len(table), wide))
    except DamagedError:  # the last bytes of a file, which some programs omit
        directory.next = 0
    for at in range(0, len(table), entry):
        tag, kind, length = struct.unpack_from(f"{order}HH{pointer}", table, at)
        size, place = _SIZES.get(kind, 0) * length, start + at + entry - wide
        if not 0 < size <= _LARGEST:
            continue
        if size > wide:
            (place,) = struct.unpack_from(order + pointer, table, at + entry - wide)
        try:
            budget[0] -= size
            if budget[0] < 0:
                raise DamagedError("values that overlap")
            one = Field(kind, _read(file, place, size), place)
            if tag not in _CHILDREN:
                directory.fields[tag] = one
            elif depth < 2:
                child = Directory(order, {tag: one}).number(tag)
                directory.children[tag] = _read_at(file, child, order, big, budget, depth + 1)
        except DamagedError:
            directory.cut_off.add(tag)
    return directory


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    found = file.read(size) if file.seek(min(place, 1 << 40)) >= 0 else b""
    if len(found) < size:
        raise DamagedError("its directory is cut off")
    return found


def _without_thumbnail(block: bytes) -> bytes:
    """Overwrite the thumbnail in a block with zeros."""
    for second in read_directories(io.BytesIO(block), limit=2)[1:]:
        start, size = second.number(0x0201), second.number(0x0202)
        if 8 <= start < start + size <= len(block):
            block = block[:start] + bytes(size) + block[start + size :]
    return block
