"""Reading photo files, whose kind is detected by content."""

import importlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from PIL import Image, JpegImagePlugin

from irodori.imageio import color, headers, png
from irodori.imageio.decoded import Decoded, from_image, from_levels
from irodori.imageio.headers import Header
from irodori.imageio.kinds import kind_of
from irodori.imageio.metadata import checked, from_pillow, with_sidecar
from irodori.imageio.photo import Metadata, Photo
from irodori.imageio.rows import by_rows, is_rows
from irodori.imageio.tiff import Opened, Page
from irodori.utils.errors import IrodoriError, one_line

_MAX_BYTES = 8 * headers.MAX_PIXELS  # decoded size with four channels of 16 bits
_MAX_BY_ROWS = 10_000_000_000  # pixels: about an hour's work
_MAX_SIDE = 1_000_000
_MAX_BROTLI = 1 << 22

_DEEP_PNM = re.compile(rb"P([56])" + 3 * rb"\s(?:\s|#[^\n]*\n)*(\d+)" + rb"\s")
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF_BOX = b"JpgTiffExif->JP2"


class _Jpeg(JpegImagePlugin.JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Do nothing: Pillow warns of damaged blocks and assumes 72; see `exif` instead."""


def probe(source: Path | bytes, *, page: int | None = None, large: bool = False) -> Header:
    """Read a file's header without decoding it.

    Arguments and errors are those of `read_photo`, as far as the header determines them.
    """
    with _opened(source) as (file, kind):
        return _header(file, kind, page, large)


def read_photo(source: Path | bytes, *, page: int | None = None, large: bool = False) -> Photo:
    """Decode a photo of a kind in `kinds.py`, with 1 to 16 bits per channel.

    Colors are converted to sRGB with the file's profile, at the file's bit depth; with a missing or
    damaged profile, sRGB is assumed. The orientation is applied. The XMP packet of a sidecar file
    replaces the photo's own.

    Args:
        source: path, or content of a file.
        page: page of a file with several pages or pictures, counted from 1.
        large: also accept TIFF files of more than `headers.MAX_PIXELS`; their pixels are `Rows`,
            read from the source on demand.

    Raises:
        IrodoriError: the photo can't be read; the message is one line with the path, if any, and
            the reason.
        MemoryError: there is not enough memory.
    """
    with _opened(source) as (file, kind):
        header = _header(file, kind, page, large)
        opened = partial(_opened, source) if header.is_large else None
        decoded = _decoded(file, kind, header, page, opened)
        notes = list(decoded.notes)
        profile, space = decoded.profile, decoded.space
        if profile and space != "lab" and np.isinf(color.distance_from_srgb(profile, space)):
            notes.append("unusable color profile ignored")
            profile = None
        metadata, orientation = checked(decoded.metadata, notes)
        if isinstance(source, Path):
            metadata = with_sidecar(metadata, source, notes)
        turned = 1 if decoded.upright else orientation
        pixels = by_rows(
            lambda colors: color.to_srgb(np.ascontiguousarray(colors), space, profile),
            decoded.colors,
        )
        alpha = None if decoded.alpha is None else _upright(decoded.alpha, turned)
        return Photo(_upright(pixels, turned), alpha, metadata, kind, tuple(notes))


@contextmanager
def _opened(source: Path | bytes) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a file and its kind; errors in the block become one line that names the file."""
    where = f"{source}: " if isinstance(source, Path) else ""
    try:
        if isinstance(source, Path) and source.is_fifo():  # can be read only once
            raise IrodoriError("a named pipe: use - and send the photo to standard input")
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            head = file.read(32)
            file.seek(0)
            if not head:
                raise IrodoriError("empty file")
            yield file, kind_of(head, source.suffix.lower() if isinstance(source, Path) else "")
    except IrodoriError as error:
        raise IrodoriError(f"{where}{error}") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many exceptions
        if isinstance(error, OSError) and error.errno is not None:
            raise IrodoriError(f"{where}{error.strerror}") from None
        reason = one_line(error)
        cut = "truncated" in reason.lower() or isinstance(error, EOFError)
        reason = headers.TRUNCATED if cut else f"damaged: {reason}"
        raise IrodoriError(f"{where}{reason}") from None


def _header(file: BinaryIO, kind: str, page: int | None, large: bool = False) -> Header:
    """Return a file's header, and rewind the file."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > _MAX_BYTES and kind != "TIFF":  # all others are read into memory
        raise IrodoriError(f"{size / 1e6:,.0f} MB; at most {_MAX_BYTES / 1e6:,.0f} are read")
    if kind == "TIFF":
        header = Page(file, page).header
    elif kind == "PNG":
        header = headers.png(file.read(32))
    elif kind in headers.BY_CONTENT:
        header = headers.BY_CONTENT[kind](file.read())
    else:
        image, _ = _image(file, kind, page)
        samples = 4 if kind == "HEIF" or image.mode == "P" else len(image.getbands())
        width, height = image.size
        header = Header(width, height, samples, 16 if kind in ("PPM", "HEIF", "AVIF") else 8)
    file.seek(0)
    width, height, *_ = header
    if width < 1 or height < 1:
        raise IrodoriError("damaged: it has no pixels")
    if max(width, height) > _MAX_SIDE:
        raise IrodoriError(f"{width} × {height} pixels; at most {_MAX_SIDE} a side are read")
    by_rows = large and kind == "TIFF" and header.is_large
    limit = _MAX_BY_ROWS if by_rows else headers.MAX_PIXELS
    if width * height > limit:
        raise IrodoriError(
            f"{width} × {height} pixels; at most {limit // 1_000_000:,} megapixels are read:"
            f" {header.in_parts}"
        )
    if header.decoded_bytes > _MAX_BYTES and not by_rows:
        raise IrodoriError(
            f"decoding takes {header.decoded_bytes / 1e6:.0f} MB, of at most {_MAX_BYTES / 1e6:.0f}"
        )
    return header


def _decoded(
    file: BinaryIO, kind: str, header: Header, page: int | None, opened: Opened | None
) -> Decoded:
    if kind == "TIFF":
        return Page(file, page).decode(file, opened)
    content = file.read()
    if kind in ("PNG", "JXL"):
        if page not in (None, 1):
            raise IrodoriError(f"no page {page}: it has 1")
        return png.decode(content) if kind == "PNG" else _jpeg_xl(content)
    deep = kind == "JPEG" and header.bits == 12
    # Pillow only opens 12-bit files if the header claims 8 bits.
    shallow = content[: header.at] + b"\x08" + content[header.at + 1 :] if deep else content
    image, notes = _image(io.BytesIO(shallow), kind, page)
    if image.size != header[:2]:  # files can state their size in several places
        raise IrodoriError("damaged: its header")
    metadata, profile = from_pillow(image.info), image.info.get("icc_profile")
    if image.info.get("mp") or image.info.get("aux"):
        notes.append("further pictures or a gain map left out")
    if kind == "JPEG2000":
        profile, metadata = _in_boxes(content, metadata)
    decoded = _pixels(image, kind, content, header.bits)
    turned = kind == "HEIF"  # the decoder applies it
    return decoded._replace(profile=profile, metadata=metadata, notes=notes, upright=turned)


def _pixels(image: Any, kind: str, content: bytes, bits: int) -> Decoded:
    """Decode an image, with other libraries where Pillow would reduce it to 8 bits."""
    if kind == "JPEG" and bits == 12:
        return from_levels(imagecodecs.jpeg8_decode(content), 4095)
    if kind == "JPEG2000" and bits > 8:
        return from_levels(imagecodecs.jpeg2k_decode(content), (1 << bits) - 1)
    if kind == "AVIF" and (flags := content[content.index(b"av1C") + 6] & 0x60):
        return from_levels(imagecodecs.avif_decode(content), 4095 if flags == 0x60 else 1023)
    if kind == "HEIF" and (bits := image.info["bit_depth"]) > 8:
        return from_levels(np.asarray(image) >> (16 - bits), (1 << bits) - 1)
    if kind == "PPM" and (found := _DEEP_PNM.match(content)) and int(found[4]) > 255:
        width, height, max_level = (int(number) for number in found.groups()[1:])
        shape = (height, width, 3 if found[1] == b"6" else 1)
        values = np.frombuffer(content, ">u2", int(np.prod(shape)), found.end())
        return from_levels(values.reshape(shape), max_level)
    return from_image(image.to_pillow() if kind == "HEIF" else image)


def _jpeg_xl(content: bytes) -> Decoded:
    if any(kind == b"jbrd" for kind, _ in headers.boxes(content)):
        with suppress(imagecodecs.JpegxlError):  # a part that the JPEG needs was taken out
            # The JPEG that it was made from; of other files the decoder doesn't tell the profile.
            file = io.BytesIO(imagecodecs.jpegxl_decode_jpeg(content, numthreads=1))
            return _decoded(file, "JPEG", _header(file, "JPEG", None), None, None)
    values = imagecodecs.jpegxl_decode(content)
    notes = ["first picture of an animation"] if values.ndim == 4 else []
    values = values[0] if values.ndim == 4 else values
    decoded = from_levels(values, 255 if values.dtype == np.uint8 else 65535)
    _, metadata = _in_boxes(content, Metadata())
    # The decoder applies the orientation.
    return decoded._replace(metadata=metadata, notes=notes, upright=True)


def _in_boxes(content: bytes, metadata: Metadata) -> tuple[bytes | None, Metadata]:
    """Return profile and metadata from the boxes of a JPEG 2000 or JPEG XL file."""
    profile, found = None, {}
    for kind, body in headers.boxes(content):
        if kind == b"brob":
            with suppress(RuntimeError, ValueError):  # damaged or large metadata
                kind, body = body[:4], bytes(imagecodecs.brotli_decode(body[4:], out=_MAX_BROTLI))
        if kind == b"colr" and body[:1] == b"\2":
            profile = body[3:]
        elif kind == b"Exif" or (kind == b"uuid" and body.startswith(_EXIF_BOX)):
            found["exif"] = body[4:] if kind == b"Exif" else body[16:]
        elif kind == b"xml " or (kind == b"uuid" and body.startswith(_XMP_BOX)):
            found["xmp"] = body if kind == b"xml " else body[16:]
    boxed = from_pillow(found)
    return profile, replace(boxed, dpi=metadata.dpi or boxed.dpi)


def _image(file: BinaryIO, kind: str, page: int | None) -> tuple[Any, list[str]]:
    """Return a page as an unloaded image, without Image.open's size limits, and notes.

    The image is Pillow's or, for HEIC, pillow_heif's, which is similar.
    """
    images = _heif(file) if kind == "HEIF" else None
    if images is None:
        if kind != "JPEG" and kind not in Image.OPEN:
            Image.init()  # imports all of Pillow's plugins
        image = _Jpeg(file) if kind == "JPEG" else Image.OPEN[kind][0](file, "")
        first, count = 1, getattr(image, "n_frames", 1)
    else:
        first, count = images.primary_index + 1, len(images)
    number = page or first
    if not 1 <= number <= count:
        raise IrodoriError(f"no page {page}: it has {count}")
    if images is not None:
        image = images[number - 1]
    elif count > 1:
        image.seek(number - 1)
    return image, [f"picture {number} of {count}"] if count > 1 else []


def _heif(file: BinaryIO) -> Any:
    try:
        heif: Any = importlib.import_module("pillow_heif")
    except ModuleNotFoundError:
        raise IrodoriError(
            "HEIC needs a decoder; install it with `pip install 'irodori[heif]'`"
        ) from None
    return heif.open_heif(file, convert_hdr_to_8bit=False)


def _upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation to a picture, H×W or H×W×C; the result is contiguous."""
    if is_rows(picture):
        if orientation == 1:
            return picture
        raise IrodoriError(
            "too large to be rotated: rotate it first (`vips autorot FILE upright.tif`)"
        )
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)
