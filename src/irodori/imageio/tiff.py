"""TIFF: reading a page at its own bit depth, and writing results with the photo's metadata."""

import logging
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import TiffImagePlugin
from PIL.ExifTags import Base as Tag

from irodori.imageio import exif
from irodori.imageio.color import srgb
from irodori.imageio.decoded import Decoded, from_image, scaled
from irodori.imageio.exif import Directory, Field
from irodori.imageio.headers import TRUNCATED, Header
from irodori.imageio.metadata import iptc_of
from irodori.imageio.photo import Metadata
from irodori.imageio.rows import Rows, by_rows
from irodori.utils.errors import IrodoriError

# tifffile's log of damaged files is only for applications that configure logging.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_DEPTH, _PHOTOMETRIC = 32997, Tag.PhotometricInterpretation
_PARTS = ((Tag.StripOffsets, Tag.StripByteCounts), (Tag.TileOffsets, Tag.TileByteCounts))
_PROFILE, _RESOURCES = Tag.InterColorProfile, Tag.ImageResources
_RAW = (32803, 34892)  # photometric interpretations: color filter array, linear raw
_DEVELOP = "camera raw: develop it and save it as TIFF or JPEG"
_PREMULTIPLIED, _ALPHA = 1, 2
_BY_LIBTIFF = (6, 32809, 34676, 34677)  # compressions: old JPEG, ThunderScan, SGI's
_PLAIN = (1, 5, 8, 32773, 32946)  # compressions that keep Y'CbCr
# Color space and channels by photometric interpretation; JPEG's Y'CbCr is decoded to RGB.
_SPACES = {0: ("gray", 1), 1: ("gray", 1), 2: ("rgb", 3), 3: ("palette", 1), 5: ("cmyk", 4)}
_SPACES |= {6: ("rgb", 3), 8: ("lab", 3), 9: ("lab", 3)}
_JPEG = (7, 34892)  # compressions with separate tables
_STRIP_BYTES, _MAX_PAGES = 1 << 18, 10_000
_ROWS, _MAX_PART, _TILE = (
    64,
    1 << 28,
    128,
)  # rows read at a time, their largest size in bytes, side of tiles
_MAX_CLASSIC = 4_000_000_000  # largest size of pixels in bytes for 32-bit offsets
_MAX_BUFFERED = 1 << 26
_LEVEL = 1  # of zlib; 6 takes twice as long for files that are 3 % smaller

Opened = Callable[[], AbstractContextManager[tuple[BinaryIO, str]]]
"""A function that opens a file; the returned kind is unused."""


class Page:
    """The page of a TIFF file that contains the photo, found by its headers.

    Raises:
        IrodoriError: the page is raw, a volume, truncated, or one of several pages.
        DamagedError: there is no directory.
    """

    def __init__(self, file: BinaryIO, page: int | None = None) -> None:
        directories = exif.read_directories(file, _MAX_PAGES)
        self.notes: list[str] = []
        self.index = self._chosen(directories, page)
        self.directory = directory = directories[self.index]
        self.header = _header(directory)
        if Tag.DNGVersion in directories[0].fields or directory.number(_PHOTOMETRIC) in _RAW:
            raise IrodoriError(_DEVELOP)
        if directory.number(_DEPTH, 1) > 1:
            raise IrodoriError("a volume, not a photo")
        end = file.seek(0, os.SEEK_END)
        parts = [
            part
            for tags in _PARTS
            for part in zip(*(directory.numbers(tag) for tag in tags), strict=False)
        ]
        if directory.cut_off & exif.STORAGE - {Tag.XMLPacket, Tag.IPTCNAA, _RESOURCES, _PROFILE}:
            raise IrodoriError(TRUNCATED)
        if any(start + size > end or size == 0 for start, size in parts):
            raise IrodoriError(TRUNCATED)

    def _chosen(self, directories: list[Directory], page: int | None) -> int:
        # Bits of the subfile type: 1 a smaller version, 4 a mask.
        whole = [n for n, one in enumerate(directories) if not one.number(Tag.NewSubfileType) & 5]
        if not whole and Tag.SubIFDs in directories[0].fields:
            raise IrodoriError(_DEVELOP)
        whole = whole or list(range(len(directories)))
        if page is not None:
            if not 1 <= page <= len(whole):
                raise IrodoriError(f"no page {page}: it has {len(whole)}")
            return whole[page - 1]
        first = max(whole, key=lambda n: _header(directories[n]).width)
        width, height, samples, *_ = _header(directories[first])
        for other in (_header(directories[number]) for number in whole if number != first):
            if other[:2] == (width, height) and samples >= 3 and other.samples == 1:
                self.notes.append("infrared page left out")
            elif 3 * other.width <= width and abs(other.width * height / width - other.height) <= 2:
                self.notes.append("smaller version left out")
            else:
                raise IrodoriError(
                    f"{len(whole)} pages: split the file (`tiffsplit FILE page-`), or choose one"
                    " with --page of `irodori colorize`"
                )
        return first

    def decode(self, file: BinaryIO, opened: Opened | None = None) -> Decoded:
        """Decode the page.

        opened: opens the file again; the pixels are then `Rows`, read on demand.
        """
        directory = self.directory
        described = Metadata(
            exif.to_block(exif.without_storage(directory)),
            directory.value(Tag.XMLPacket),
            directory.value(Tag.IPTCNAA) or iptc_of(directory.value(_RESOURCES)),
            dpi=directory.dpi,
        )
        profile = directory.value(_PROFILE)
        if 3 in directory.numbers(Tag.SampleFormat):
            raise IrodoriError("floating-point pixels; save it as 8- or 16-bit gray or RGB")
        photometric = directory.number(_PHOTOMETRIC, -1)
        if photometric not in _SPACES:
            raise IrodoriError("pixels that are neither gray, RGB, CMYK nor L*a*b*")
        file.seek(0)
        compression = directory.number(Tag.Compression, 1)
        if compression in _BY_LIBTIFF or (photometric == 6 and compression in _PLAIN):
            if opened is not None:
                raise IrodoriError(f"too large for its compression: {self.header.in_parts}")
            with TiffImagePlugin.TiffImageFile(file) as image:
                image.seek(self.index)
                decoded = from_image(image)
            # Pillow applies the orientation of TIFFs only.
            return decoded._replace(
                profile=profile, metadata=described, notes=self.notes, upright=True
            )
        with tifffile.TiffFile(file) as tiff:
            page: Any = tiff.pages[self.index]
            width, height, samples, bits, _ = self.header
            if page.nbytes > width * height * samples * ((bits + 7) // 8):  # duplicate tags
                raise IrodoriError("damaged: its header")
            values: Any = page.asarray() if opened is None else self._rows(page, opened)
            planes = opened is None and page.axes == "SYX"
            channels = 3 if photometric == 3 else page.shaped[0] * page.shaped[-1]
        if planes:
            values = np.moveaxis(values, 0, 2)
        space, inks = ("rgb", 3) if photometric == 3 else _SPACES[photometric]
        kinds = [*directory.numbers(Tag.ExtraSamples), *[0] * channels][: channels - inks]
        covers = [n for n, kind in enumerate(kinds) if kind in (_PREMULTIPLIED, _ALPHA)][:1]
        if len(kinds) > len(covers):
            self.notes.append("extra channel left out (infrared or a mask)")

        def levels(values: np.ndarray) -> np.ndarray:
            if photometric == 3:
                table = np.array(directory.numbers(Tag.ColorMap)).reshape(3, -1).T
                # Some programs write 8 bits where 16 are asked for, and viewers know it.
                table = table // 256 if table.max(initial=0) > 255 else table
                values = table.astype(np.uint8)[values.astype(int)]
            values = np.atleast_3d(values)
            if values.ndim != 3 or values.shape[2] < inks:
                raise IrodoriError("damaged: channels are missing")
            values = self._scaled(values, photometric)
            if covers and kinds[covers[0]] == _PREMULTIPLIED:
                _divide(values[..., :inks], values[..., inks + covers[0]])
            return values

        values = by_rows(levels, values)
        colors = by_rows(lambda values: values[..., :inks], values)
        alpha = None
        if covers:
            place = inks + covers[0]
            alpha = by_rows(lambda values: np.ascontiguousarray(values[..., place]), values)
        return Decoded(colors, space, alpha, profile, described, self.notes)

    def _rows(self, page: Any, opened: Opened) -> Rows:
        """Return the stored pixels, H×W×C, read on demand."""
        length = page.tilelength if page.is_tiled else page.rowsperstrip
        length = 1 if page.is_final else min(length, page.imagelength)
        row_bytes = page.nbytes // page.imagelength
        step = length * max(1, min(_ROWS, _MAX_PART // row_bytes) // length)
        if step * row_bytes > _MAX_PART:
            raise IrodoriError(f"too large for strips of {length} rows: {self.header.in_parts}")

        tables = {}
        if page.compression in _JPEG:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}

        def make(top: int, bottom: int) -> np.ndarray:
            with opened() as (file, _):
                return _read(file, page, top, bottom, tables)

        return Rows(page.imagelength, make, step)

    def _scaled(self, values: np.ndarray, photometric: int) -> np.ndarray:
        """Scale values to the full range of 8 or 16 bits."""
        bits = 8 if photometric == 3 else self.header.bits
        if photometric in (8, 9):  # to ICC's encoding, with unsigned a* and b*
            values = values.view(f"u{values.itemsize}").copy()
            if photometric == 8:
                values[..., 1:] ^= values.dtype.type(1 << (bits - 1))
            if bits == 16:
                shifted = values[..., 1:] if photometric == 8 else values
                shifted += (shifted >> 8).astype(np.uint16)
            return values
        if bits > 16 or values.dtype.kind == "i":
            if values.min() < 0 or values.max() > 65535:
                raise IrodoriError(f"{bits}-bit values beyond 0 to 65535; save it with 16 bits")
            bits = 16
        values = scaled(values, (1 << bits) - 1)
        if photometric == 0:
            values = np.invert(values)
        return values if values.flags.writeable else values.copy()


def write(file: BinaryIO, pixels: np.ndarray | Rows, metadata: Metadata) -> None:
    """Write an sRGB picture, H×W×3 or with alpha H×W×4, uint8 or uint16, to a file opened "w+b"."""
    described = exif.parse(metadata.exif) or Directory()
    height, width, channels = pixels.shape
    row_bytes = width * channels * pixels.dtype.itemsize
    parts: dict[str, Any] = {"rowsperstrip": max(1, _STRIP_BYTES // row_bytes)}
    if isinstance(pixels, Rows):
        parts = {"tile": (_TILE, _TILE), "shape": pixels.shape, "dtype": pixels.dtype}
    tifffile.imwrite(
        file,
        _tiles(pixels) if isinstance(pixels, Rows) else pixels,
        **parts,
        bigtiff=height * row_bytes > _MAX_CLASSIC,
        byteorder="<" if described.order == "<" else ">",
        photometric="rgb",
        extrasamples=None if channels == 3 else ["unassalpha"],
        compression="zlib",
        compressionargs={"level": _LEVEL},
        predictor=True,
        buffersize=_MAX_BUFFERED,
        metadata=None,
        software=False,
        resolution=metadata.dpi,
        resolutionunit="INCH" if metadata.dpi else "NONE",
    )
    directory = exif.read_directories(file)[0]
    own = (Tag.Orientation, Tag.XResolution, Tag.YResolution, Tag.ResolutionUnit)
    described = exif.without_storage(described, *own)
    directory.fields = {**described.fields, **directory.fields}
    directory.children = described.children
    for tag, kind, value in (
        (_PROFILE, exif.UNDEFINED, srgb()),
        (Tag.XMLPacket, exif.BYTE, metadata.xmp),
        (Tag.IPTCNAA, exif.UNDEFINED, metadata.iptc),
    ):
        if value:
            directory.fields[tag] = Field(kind, value)
    # The extended directory is written at the end; the pixels keep their offsets.
    end = file.seek(0, os.SEEK_END)
    end += file.write(bytes(end % 2))
    file.write(exif.packed(directory, end, big=directory.big))
    file.seek(8 if directory.big else 4)
    file.write(struct.pack(f"{directory.order}{'Q' if directory.big else 'L'}", end))


def _tiles(pixels: Rows) -> Iterator[np.ndarray]:
    for top in range(0, pixels.shape[0], _TILE):
        rows = pixels[top : top + _TILE]
        yield from (rows[:, left : left + _TILE] for left in range(0, rows.shape[1], _TILE))


def _read(file: BinaryIO, page: Any, top: int, bottom: int, tables: dict[str, Any]) -> np.ndarray:
    """Return rows of a page, H×W×C; `top` must be the start of a strip or a row of tiles."""
    planes, _, height, width, samples = page.shaped
    values = np.empty((planes, bottom - top, width, samples), page.dtype)
    if page.is_final:  # contiguous and uncompressed
        dtype = page.dtype.newbyteorder(page.parent.byteorder)
        for plane, rows in enumerate(values):
            file.seek(page.dataoffsets[0] + (plane * height + top) * rows[0].nbytes)
            rows[...] = np.frombuffer(file.read(rows.nbytes), dtype).reshape(rows.shape)
    else:
        length = page.tilelength if page.is_tiled else page.rowsperstrip
        down, across = page.chunked[planes > 1 :][:2]
        first, last = top // length * across, -(-bottom // length) * across
        for start in range(0, planes * down * across, down * across):
            for number in range(start + first, start + last):
                file.seek(page.dataoffsets[number])
                stored = file.read(page.databytecounts[number])
                part, (plane, _, y, x, _), _ = page.decode(stored, number, **tables)
                place = values[plane, y - top : y - top + part.shape[1], x : x + part.shape[2]]
                place[...] = part[0, : place.shape[0], : place.shape[1]]
    return values.transpose(1, 2, 0, 3).reshape(bottom - top, width, planes * samples)


def _header(directory: Directory) -> Header:
    """Return the size and depth of the decoded page."""
    width, height = (directory.number(tag) for tag in (Tag.ImageWidth, Tag.ImageLength))
    bits = int(max(directory.numbers(Tag.BitsPerSample), default=1))
    samples = 4 if directory.number(_PHOTOMETRIC) == 3 else 1
    return Header(width, height, directory.number(Tag.SamplesPerPixel, samples), bits)


def _divide(colors: np.ndarray, alpha: np.ndarray) -> None:
    """Divide premultiplied colors by alpha, in place."""
    white = np.uint64(np.iinfo(alpha.dtype).max)
    for row, cover in zip(colors, alpha, strict=True):
        whole = np.maximum(cover, 1).astype(np.uint64)[:, None]
        row[...] = np.minimum((row * white + whole // 2) // whole, white)
