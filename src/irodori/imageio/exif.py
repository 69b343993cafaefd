"""EXIF blocks: carried over byte for byte, but for what the result makes wrong.

A block here is what begins with TIFF's header, without the "Exif" that JPEG puts before it. It is
changed in place, since maker notes hold offsets into it.
"""

import io
import struct

from irodori.imageio.tags import (
    EXIF,
    INTEROPERABILITY,
    RATIONAL,
    SHORT,
    DamagedError,
    Directory,
    Field,
    header,
    parse,
    read_at,
    to_bytes,
)

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_INCH, _CENTIMETRE = 2, 3
_COLOR_SPACE, _PIXELS_X, _PIXELS_Y = 0xA001, 0xA002, 0xA003
_SRGB = 1

# What describes how a TIFF file stores its pixels, and is no metadata of the photo: types, sizes,
# strips, tiles, tables, colours, layers, and XMP and the profile, which go their own ways.
_STORAGE = {254, 255, *range(256, 260), *range(262, 267), 273, *range(277, 282), 284}
_STORAGE |= {*range(288, 294), 301, 317, 318, 319, 320, 321, *range(322, 326), 330}
_STORAGE |= {*range(332, 348), *range(512, 533), 700, 34675, 34377, 37724, 50255}


def bare(block: bytes | None) -> bytes | None:
    """A block without what JPEG puts before it; None for none."""
    while block and block.startswith(b"Exif\0\0"):
        block = block[6:]
    return block or None


def orientation(directory: Directory | None) -> int | None:
    """1 to 8, see EXIF's tag 0x0112; None if it isn't said."""
    found = directory.number(ORIENTATION, 0) if directory else 0
    return found if 1 <= found <= 8 else None


def dots_per_inch(directory: Directory | None) -> tuple[float, float] | None:
    """The resolution horizontally and vertically, None if it isn't said."""
    if directory is None:
        return None
    unit = directory.number(RESOLUTION_UNIT, _INCH)
    x, y = (next(iter(directory.numbers(tag)), 0.0) for tag in (X_RESOLUTION, Y_RESOLUTION))
    if unit not in (_INCH, _CENTIMETRE) or not (x > 0 and y > 0):
        return None
    scale = 2.54 if unit == _CENTIMETRE else 1.0
    return x * scale, y * scale


def made_upright(block: bytes | None, width: int, height: int) -> bytes | None:
    """A block as the upright sRGB result needs it; None for none and for a damaged one.

    Orientation becomes 1, the pixel dimensions `width` and `height`, the colour space sRGB; the
    resolutions change places with the sides. The thumbnail, which shows the picture before, goes.
    """
    directory = parse(block)
    if block is None or directory is None:
        return None
    content = bytearray(block)
    exif = directory.children.get(EXIF, Directory(directory.order))
    if (orientation(directory) or 1) >= 5:
        _swap(content, directory, X_RESOLUTION, Y_RESOLUTION)
    _put(content, directory, ORIENTATION, 1)
    _put(content, exif, _COLOR_SPACE, _SRGB)
    _put(content, exif, _PIXELS_X, width)
    _put(content, exif, _PIXELS_Y, height)
    # "R03" says Adobe RGB where the colour space says nothing.
    rule = exif.children.get(INTEROPERABILITY, Directory(directory.order)).fields.get(1)
    if rule is not None and rule.value.startswith(b"R03"):
        content[rule.place : rule.place + 3] = b"R98"
    _drop_thumbnail(content, directory)
    return bytes(content)


def of_tiff(directory: Directory) -> bytes | None:
    """The block that says what the directory of a TIFF file says of its photo."""
    fields = {tag: one for tag, one in directory.fields.items() if tag not in _STORAGE}
    if not directory.children and fields.keys() <= {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}:
        return None
    return header(directory.order) + to_bytes(
        Directory(directory.order, fields, directory.children), 8
    )


def for_tiff(block: bytes | None) -> Directory:
    """What of a block goes into the directory of a TIFF file, which says its own resolution."""
    directory = parse(block) or Directory("<")
    own = _STORAGE | {ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
    fields = {tag: one for tag, one in directory.fields.items() if tag not in own}
    return Directory(directory.order, fields, directory.children)


def fitting(block: bytes | None, limit: int) -> bytes | None:
    """A block of at most `limit` bytes: the largest values go until it fits."""
    directory = parse(block)
    if block is None or directory is None or len(block) <= limit:
        return block
    while len(block) > limit:
        homes = [directory, *directory.children.values()]
        sizes = [(len(one.value), tag, home) for home in homes for tag, one in home.fields.items()]
        _, tag, home = max(sizes, key=lambda size: size[:2])
        del home.fields[tag]
        block = header(directory.order) + to_bytes(directory, 8)
    return block


def with_resolution(block: bytes | None, dpi: tuple[float, float] | None) -> bytes | None:
    """A block that says the resolution, for files that have no other place for it."""
    directory = parse(block) or Directory("<")
    if dpi is None or dots_per_inch(directory) is not None:
        return block
    for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
        ratio = struct.pack(f"{directory.order}LL", round(value * 10_000), 10_000)
        directory.fields[tag] = Field(RATIONAL, 1, ratio)
    unit = struct.pack(f"{directory.order}H", _INCH)
    directory.fields[RESOLUTION_UNIT] = Field(SHORT, 1, unit)
    return header(directory.order) + to_bytes(directory, 8)


def _put(content: bytearray, directory: Directory, tag: int, number: int) -> None:
    """Overwrite the number of a tag that is there."""
    found = directory.fields.get(tag)
    if found is None or found.length != 1:
        return
    form, most = {3: ("H", 0xFFFF), 4: ("L", 0xFFFFFFFF)}.get(found.kind, ("", 0))
    if form and number <= most:
        struct.pack_into(directory.order + form, content, found.place, number)


def _swap(content: bytearray, directory: Directory, one: int, other: int) -> None:
    """Exchange two values of the same size."""
    a, b = directory.fields.get(one), directory.fields.get(other)
    if a is not None and b is not None and len(a.value) == len(b.value):
        content[a.place : a.place + len(b.value)] = b.value
        content[b.place : b.place + len(a.value)] = a.value


def _drop_thumbnail(content: bytearray, directory: Directory) -> None:
    place, offset = directory.following
    if not offset:
        return
    struct.pack_into(f"{directory.order}L", content, place, 0)
    try:
        thumbnail = read_at(io.BytesIO(bytes(content)), offset, directory.order)
    except DamagedError:
        return
    start, size = thumbnail.number(0x0201, 0), thumbnail.number(0x0202, 0)
    # Nearly always it is the last thing in the block. Anywhere else its bytes stay, unused.
    if start >= max(directory.end(), thumbnail.end()) and start + size + 4 >= len(content):
        del content[start:]
