"""TIFF: a page in its own depth, and results with all that the photo's file said."""

import io
import logging
import os
import struct
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import TiffImagePlugin

from irodori.imageio import exif
from irodori.imageio.color import srgb
from irodori.imageio.decoded import Decoded, from_image, scaled
from irodori.imageio.exif import Directory, Field
from irodori.imageio.headers import TRUNCATED, Size
from irodori.imageio.metadata import iptc_of
from irodori.imageio.photo import Metadata
from irodori.utils.errors import IrodoriError

# What tifffile logs of damaged files is for who sets logging up, not for standard error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 256, 257, 258, 259
_PHOTOMETRIC, _SAMPLES = 262, 277
_COLOR_MAP, _SUB_DIRECTORIES, _EXTRA, _SAMPLE_FORMAT = 320, 330, 338, 339
_DEPTH, _DNG = 32997, 50706
_XMP, _IPTC, _PHOTOSHOP, _PROFILE = 700, 33723, 34377, 34675
_PARTS = ((273, 279), (324, 325))  # offsets and sizes of strips and tiles
_RAW = (32803, 34892)  # photometric interpretations: a color filter's mosaic, linear raw
_PREMULTIPLIED, _ALPHA = 1, 2
_BY_LIBTIFF = (6, 32809, 34676, 34677)  # compressions: old JPEG, ThunderScan, SGI's
_PLAIN = (1, 5, 8, 32773, 32946)  # compressions that leave Y'CbCr as it is
# Spaces and channels by photometric interpretation; what JPEG stores as Y'CbCr is decoded to RGB.
_SPACES = {0: ("gray", 1), 1: ("gray", 1), 2: ("rgb", 3), 3: ("palette", 1), 5: ("cmyk", 4)}
_SPACES |= {6: ("rgb", 3), 8: ("lab", 3), 9: ("lab", 3)}
_STRIP_BYTES, _MAX_PAGES = 1 << 18, 10_000
_LEVEL = 1  # of zlib; 6 takes twice as long for files that are 3 % smaller


class Page:
    """The page of a TIFF file that is its photo, by its header.

    Raises:
        IrodoriError: it is raw, a volume, cut off, or one of several pages.
        DamagedError: there is no directory.
    """

    def __init__(self, file: BinaryIO, page: int | None = None) -> None:
        directories = exif.read_directories(file, _MAX_PAGES)
        self.notes: list[str] = []
        self.index = self._chosen(directories, page)
        self.directory = directory = directories[self.index]
        if _DNG in directories[0].fields or directory.number(_PHOTOMETRIC) in _RAW:
            raise IrodoriError("camera raw: develop it and save it as TIFF or JPEG")
        if directory.number(_DEPTH, 1) > 1:
            raise IrodoriError("a volume, no photo")
        if directory.cut_off & exif.STORAGE - {_XMP, _IPTC, _PHOTOSHOP, _PROFILE}:
            raise IrodoriError(TRUNCATED)
        end = file.seek(0, os.SEEK_END)
        for starts, sizes in _PARTS:
            for start, size in zip(
                directory.numbers(starts), directory.numbers(sizes), strict=False
            ):
                if start + size > end or size == 0:
                    raise IrodoriError(TRUNCATED)

    @property
    def size(self) -> Size:
        """Return the size and depth that decoding will give."""
        width, height = (self.directory.number(tag) for tag in (_WIDTH, _HEIGHT))
        bits = int(max(self.directory.numbers(_BITS), default=1))
        samples = 4 if self.directory.number(_PHOTOMETRIC) == 3 else 1
        return Size(width, height, self.directory.number(_SAMPLES, samples), bits)

    def _chosen(self, directories: list[Directory], page: int | None) -> int:
        # Bits of a directory's kind: 1 a smaller version, 4 a mask.
        whole = [n for n, page in enumerate(directories) if not page.number(_SUBFILE) & 5]
        if not whole:
            if _SUB_DIRECTORIES in directories[0].fields:
                raise IrodoriError("camera raw: develop it and save it as TIFF or JPEG")
            whole = list(range(len(directories)))
        if page is not None:
            if not 1 <= page <= len(whole):
                raise IrodoriError(f"no page {page}: it has {len(whole)}")
            return whole[page - 1]
        first = max(whole, key=lambda n: directories[n].number(_WIDTH))
        size = [directories[first].number(tag) for tag in (_WIDTH, _HEIGHT)]
        for number in whole:
            other = [directories[number].number(tag) for tag in (_WIDTH, _HEIGHT)]
            samples = [directories[n].number(_SAMPLES, 1) for n in (first, number)]
            if number == first:
                continue
            if other == size and samples[0] >= 3 and samples[1] == 1:
                self.notes.append("infrared page left out")
            elif 3 * other[0] <= size[0] and abs(other[0] * size[1] / size[0] - other[1]) <= 2:
                self.notes.append("smaller version left out")
            else:
                raise IrodoriError(
                    f"{len(whole)} pages: choose one by --page, or split the file"
                    " (`tiffsplit FILE page-`)"
                )
        return first

    def decode(self, file: BinaryIO) -> Decoded:
        """Return the pixels and what the directory says of them."""
        directory = self.directory
        described = Metadata(
            exif.to_block(exif.without_storage(directory)),
            directory.value(_XMP),
            directory.value(_IPTC) or iptc_of(directory.value(_PHOTOSHOP)),
            dpi=directory.dpi,
        )
        profile = directory.value(_PROFILE)
        if 3 in directory.numbers(_SAMPLE_FORMAT):
            raise IrodoriError("floating-point pixels; save it as 8- or 16-bit gray or RGB")
        photometric = directory.number(_PHOTOMETRIC, -1)
        if photometric not in _SPACES:
            raise IrodoriError("pixels that are neither gray, RGB, CMYK nor L*a*b*")
        file.seek(0)
        compression = directory.number(_COMPRESSION, 1)
        if compression in _BY_LIBTIFF or (photometric == 6 and compression in _PLAIN):
            with TiffImagePlugin.TiffImageFile(file) as image:
                image.seek(self.index)
                decoded = from_image(image, profile)
            # Pillow turns TIFFs, and no others, itself.
            return decoded._replace(metadata=described, notes=self.notes, upright=True)
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[self.index]
            width, height, samples, bits, _ = self.size
            if page.nbytes > width * height * samples * ((bits + 7) // 8):  # tags that come twice
                raise IrodoriError("damaged: its header")
            values = page.asarray()
            if page.axes == "SYX":
                values = np.moveaxis(values, 0, 2)
            if photometric == 3:
                table = np.array(directory.numbers(_COLOR_MAP)).reshape(3, -1).T // 256
                values = table.astype(np.uint8)[values.astype(int)]
        space, inks = ("rgb", 3) if photometric == 3 else _SPACES[photometric]
        values = np.atleast_3d(values)
        if values.ndim != 3 or values.shape[2] < inks:
            raise IrodoriError("damaged: channels are missing")
        values = self._scaled(values, photometric)
        colors, alpha = values[..., :inks], None
        kinds = directory.numbers(_EXTRA)
        for number in range(values.shape[2] - inks):
            kind = kinds[number] if number < len(kinds) else 0
            if kind not in (_PREMULTIPLIED, _ALPHA) or alpha is not None:
                self.notes.append("extra channel left out (infrared or a mask)")
                continue
            alpha = np.ascontiguousarray(values[..., inks + number])
            if kind == _PREMULTIPLIED:
                _divide(colors, alpha)
        return Decoded(colors, space, alpha, profile, described, self.notes)

    def _scaled(self, values: np.ndarray, photometric: int) -> np.ndarray:
        """Return levels of 8 or 16 bits that use the whole range."""
        bits = 8 if photometric == 3 else self.size.bits
        if photometric in (8, 9):  # to ICC's encoding, in which a* and b* begin at 0
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


def write(file: BinaryIO, pixels: np.ndarray, metadata: Metadata) -> None:
    """Write an sRGB picture, H×W×3 or with alpha H×W×4, uint8 or uint16."""
    described = exif.parse(metadata.exif) or Directory()
    content = io.BytesIO()
    tifffile.imwrite(
        content,
        pixels,
        bigtiff=False,
        byteorder="<" if described.order == "<" else ">",
        photometric="rgb",
        extrasamples=None if pixels.shape[2] == 3 else ["unassalpha"],
        compression="zlib",
        compressionargs={"level": _LEVEL},
        predictor=True,
        rowsperstrip=max(1, _STRIP_BYTES // (pixels[0].nbytes)),
        metadata=None,
        software=False,
        resolution=metadata.dpi,
        resolutionunit="INCH" if metadata.dpi else "NONE",
    )
    directory = exif.read_directories(content)[0]
    own = (exif.ORIENTATION, exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.RESOLUTION_UNIT)
    described = exif.without_storage(described, *own)
    directory.fields = {**described.fields, **directory.fields}
    directory.children = described.children
    for tag, kind, value in (
        (_PROFILE, exif.UNDEFINED, srgb()),
        (_XMP, exif.BYTE, metadata.xmp),
        (_IPTC, exif.UNDEFINED, metadata.iptc),
    ):
        if value:
            directory.fields[tag] = Field(kind, len(value), value)
    # The directory moves to the end, with what is added to it; the pixels stay where they are.
    end = content.seek(0, os.SEEK_END)
    end += content.write(bytes(end % 2))
    content.write(exif.packed(directory, end))
    content.seek(4)
    content.write(struct.pack(f"{directory.order}L", end))
    file.write(content.getbuffer())


def _divide(colors: np.ndarray, alpha: np.ndarray) -> None:
    """Undo in place that colors were multiplied by alpha."""
    white = np.uint64(np.iinfo(alpha.dtype).max)
    for row, cover in zip(colors, alpha, strict=True):
        whole = np.maximum(cover, 1).astype(np.uint64)[:, None]
        row[...] = np.minimum((row * white + whole // 2) // whole, white)
