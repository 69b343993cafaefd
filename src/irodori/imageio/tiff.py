"""TIFF: its page in its own depth, and results with all that the photo's file said.

Pillow decodes up to 8 bits a channel; beyond, tifffile does.
"""

import io
import os
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from irodori.imageio import exif
from irodori.imageio.metadata import Metadata
from irodori.imageio.pixels import Pixels, to_arrays
from irodori.imageio.profiles import deep_to_srgb, gray_levels, srgb
from irodori.imageio.sizes import refuse_size
from irodori.imageio.tags import (
    UNDEFINED,
    DamagedError,
    Directory,
    Field,
    in_order,
    read_at,
    read_directory,
    to_bytes,
)
from irodori.utils.errors import IrodoriError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_EXTRA, _SAMPLE_FORMAT, _XMP, _PROFILE, _DNG = 338, 339, 700, 34675, 50706
_STRIPS, _TILES = (273, 279), (324, 325)
_WHITE_IS_ZERO = 0
_INKS = {0: 1, 1: 1, 2: 3, 5: 4}  # channels of a colour, by photometric interpretation
_PREMULTIPLIED, _ALPHA = 1, 2
_STRIP_BYTES = 1 << 18
_MOST_PAGES = 10_000
_LEVEL = 1  # of zlib; 6 takes twice as long for files that are 3 % smaller


def read(file: BinaryIO) -> tuple[Pixels, Metadata, int]:
    """The pixels of a TIFF's first page, its metadata, and how the pixels stand (1 to 8).

    Raises:
        IrodoriError: cut off, too large, a raw photograph, or values of another kind.
        DamagedError: no directory.
    """
    directory = read_directory(file)
    if _DNG in directory.fields or directory.number(_SUBFILE, 0) & 1:
        raise IrodoriError("a raw photograph; develop it first and save it as TIFF or JPEG")
    refuse_pages(file, directory)
    refuse_size(directory.number(_WIDTH, 0), directory.number(_HEIGHT, 0))
    _refuse_truncated(file, directory)
    metadata = Metadata(
        exif.of_tiff(directory),
        directory.fields[_XMP].value if _XMP in directory.fields else None,
        exif.dots_per_inch(directory),
    )
    if max(directory.numbers(_BITS), default=1) > 8:
        return _deep(file, directory), metadata, metadata.orientation()
    file.seek(0)
    with Image.open(file, formats=["TIFF"]) as image:
        return to_arrays(image), metadata, 1  # Pillow turns TIFFs, and no others, itself


def refuse_pages(file: BinaryIO, first: Directory) -> None:
    """Raise IrodoriError for further pages, which would be lost; not for thumbnails and masks."""
    pages, directory, seen = 1, first, set[int]()
    big = first.big
    while (place := directory.following[1]) and place not in seen and len(seen) < _MOST_PAGES:
        seen.add(place)
        try:
            directory = read_at(file, place, first.order, big)
        except DamagedError:
            break
        # Bits of its kind: 1 a smaller version, 4 a mask.
        if not directory.number(_SUBFILE, 0) & 5:
            pages += 1
    if pages > 1:
        raise IrodoriError(f"{pages} pages; save each as a file of its own")


def write(file: BinaryIO, colors: np.ndarray, alpha: np.ndarray | None, metadata: Metadata) -> None:
    """Write an sRGB picture; H×W×3 and H×W, both uint8 or both uint16."""
    import tifffile

    pixels = colors if alpha is None else np.dstack([colors, alpha])
    content = io.BytesIO()
    tifffile.imwrite(
        content,
        pixels,
        bigtiff=False,
        byteorder="<",
        photometric="rgb",
        extrasamples=None if alpha is None else ["unassalpha"],
        compression="zlib",
        compressionargs={"level": _LEVEL},
        predictor=True,
        rowsperstrip=max(1, _STRIP_BYTES // (pixels[0].nbytes)),
        metadata=None,
        software=False,
        resolution=metadata.dpi,
        resolutionunit="INCH" if metadata.dpi else "NONE",
    )
    directory = read_directory(content)
    described = in_order(exif.for_tiff(metadata.exif), directory.order)
    directory.fields = {**described.fields, **directory.fields}
    directory.children = described.children
    directory.fields[_PROFILE] = Field(UNDEFINED, len(srgb()), srgb())
    if metadata.xmp is not None:
        directory.fields[_XMP] = Field(1, len(metadata.xmp), metadata.xmp)
    # The directory moves to the end, with what is added to it; the pixels stay where they are.
    end = content.seek(0, os.SEEK_END)
    end += content.write(bytes(end % 2))
    content.write(to_bytes(directory, end))
    content.seek(4)
    content.write(struct.pack("<L", end))
    file.write(content.getbuffer())


def _refuse_truncated(file: BinaryIO, directory: Directory) -> None:
    size = file.seek(0, os.SEEK_END)
    for starts, sizes in (_STRIPS, _TILES):
        parts = zip(directory.numbers(starts), directory.numbers(sizes), strict=False)
        if any(start + length > size for start, length in parts):
            raise IrodoriError("truncated: its end is missing")


def _deep(file: BinaryIO, directory: Directory) -> Pixels:
    """More than 8 bits a channel; uint16."""
    import tifffile

    bits = directory.numbers(_BITS)
    if 3 in directory.numbers(_SAMPLE_FORMAT):
        raise IrodoriError("floating-point pixels; save it as 8- or 16-bit gray or RGB")
    photometric = directory.number(_PHOTOMETRIC, -1)
    if photometric not in _INKS:
        raise IrodoriError(f"{bits[0]}-bit pixels that are neither gray, RGB nor CMYK")
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        values = page.asarray()
        if page.axes == "SYX":
            values = np.moveaxis(values, 0, 2)
    values = np.atleast_3d(values)
    inks = _INKS[photometric]
    if values.ndim != 3 or values.shape[2] < inks:
        raise IrodoriError("damaged: channels are missing")
    values = _sixteen_bits(values, int(max(bits)))
    colors, alpha = np.ascontiguousarray(values[..., :inks]), None
    for number, kind in enumerate(directory.numbers(_EXTRA)):
        if kind in (_PREMULTIPLIED, _ALPHA) and inks + number < values.shape[2]:
            alpha = np.ascontiguousarray(values[..., inks + number])
            if kind == _PREMULTIPLIED:
                _divide(colors, alpha)
            break
    if photometric == _WHITE_IS_ZERO:
        np.subtract(65535, colors, out=colors)
    profile = directory.fields[_PROFILE].value if _PROFILE in directory.fields else None
    if inks == 1:
        levels = gray_levels(profile, np.uint16)
        return Pixels(colors if levels is None else levels[colors], alpha)
    return Pixels(deep_to_srgb(colors, profile), alpha)


def _sixteen_bits(values: np.ndarray, bits: int) -> np.ndarray:
    if bits > 16 or values.dtype.kind == "i":
        if values.min() < 0 or values.max() > 65535:
            raise IrodoriError(f"{bits}-bit values beyond 0 to 65535; save it with 16 bits")
        return values.astype(np.uint16)
    if bits < 16:
        return np.rint(values * (65535 / ((1 << bits) - 1))).astype(np.uint16)
    return values.astype(np.uint16, copy=False)


def _divide(colors: np.ndarray, alpha: np.ndarray) -> None:
    """Colours that were multiplied by alpha, made whole in place."""
    for row, cover in zip(colors, alpha, strict=True):
        whole = np.maximum(cover, 1).astype(np.uint64)[:, None]
        row[...] = np.minimum((row * np.uint64(65535) + whole // 2) // whole, 65535)
