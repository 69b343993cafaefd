"""Photo files to pixels; a kind is known by its content, whatever the name."""

import importlib
import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from irodori.imageio import png, tiff
from irodori.imageio.metadata import Metadata
from irodori.imageio.photo import Header, Photo
from irodori.imageio.pixels import Pixels, to_arrays
from irodori.imageio.sizes import MAX_PIXELS, refuse_size
from irodori.imageio.tags import DamagedError
from irodori.imageio.turning import upright
from irodori.utils.errors import IrodoriError, one_line

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def probe(source: Path | bytes) -> Header:
    """Read a file's header alone; IrodoriError for what is refused by it."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with Image.open(file) as image:
        samples = len(image.getbands())
        return Header(*image.size, image.width * image.height * samples, image.format or "")


def is_colored(photo: Photo) -> bool:
    """Whether a photo is in color already: beyond the tint of an old print."""
    colors = photo.pixels[:: max(1, photo.pixels.shape[0] // 256)].astype(int)
    return photo.pixels.shape[2] == 3 and bool(np.ptp(colors, axis=2).mean() > 1)


def read_photo(
    source: Path | bytes, *, page: int | None = None, max_bytes: int | None = None
) -> Photo:
    """Decode a photo; the first picture of a file that holds several.

    JPEG, PNG, TIFF, WebP, BMP, AVIF, and HEIC where pillow-heif is installed, of 1 to 16 bits a
    channel. Colours become sRGB by the file's profile, in the file's own depth; without one, and
    with a damaged one, they are taken for sRGB. The EXIF orientation is applied.

    Args:
        source: a file, or what is in one.

    Returns:
        The photo. Bytes a pixel at most while it is read, its own pixels included, as measured at
        40 megapixels: gray JPEG 2, RGB JPEG, turned or not, 8-bit PNG and TIFF 8 to 9, 16-bit PNG
        and TIFF 8, WebP 16.

    Raises:
        IrodoriError: it can't be read; one line that names the file (if `source` is one) and
            the reason.
        MemoryError: it doesn't fit.
    """
    where = f"{source}: " if isinstance(source, Path) else ""
    try:
        if isinstance(source, bytes):
            return _read(io.BytesIO(source))
        with source.open("rb") as file:
            return _read(file)
    except IrodoriError as error:
        raise IrodoriError(f"{where}{error}") from None
    except MemoryError:
        raise
    except UnidentifiedImageError:
        raise IrodoriError(f"{where}damaged: its header") from None
    except Image.DecompressionBombError:
        most = MAX_PIXELS // 1_000_000
        raise IrodoriError(f"{where}at most {most} megapixels are read") from None
    except Exception as error:  # decoders raise many kinds
        if isinstance(error, OSError) and error.errno is not None:
            raise IrodoriError(f"{where}{error.strerror}") from None
        reason = one_line(error)
        cut = "truncated" in reason.lower() or isinstance(error, EOFError)
        reason = "truncated: its end is missing" if cut else f"damaged: {reason}"
        raise IrodoriError(f"{where}{reason}") from None


def _read(file: BinaryIO) -> Photo:
    pixels, metadata, orientation, kind = _decoded(file)
    colors = upright(pixels.colors, orientation)
    height, width, _ = colors.shape
    alpha = None if pixels.alpha is None else upright(pixels.alpha, orientation)
    return Photo(colors, alpha, metadata.upright(width, height), kind)


def _decoded(file: BinaryIO) -> tuple[Pixels, Metadata, int, str]:
    """Pixels, what the file says of them, how they stand (1 to 8), and the format."""
    head = file.read(32)
    file.seek(0)
    if not head:
        raise IrodoriError("empty file")
    if head.startswith(png.SIGNATURE):
        return *png.read(file), "PNG"
    if head.startswith(tiff.MAGIC):
        try:
            return *tiff.read(file), "TIFF"
        except DamagedError as error:
            raise IrodoriError(f"damaged or truncated: {error}") from None
    if head.startswith(b"\xff\xd8\xff"):
        content = file.read()
        _refuse_unfinished(content)
        return *_by_pillow(io.BytesIO(content), ["JPEG"]), "JPEG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return *_by_pillow(file, ["WEBP"]), "WEBP"
    if head.startswith(b"BM"):
        return *_by_pillow(file, ["BMP"]), "BMP"
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF + _HEIC:
        return *_heif(file, head), "HEIF"
    raise IrodoriError("no photo of a known kind (JPEG, PNG, TIFF, WebP, BMP, HEIC, AVIF)")


def _by_pillow(file: BinaryIO, formats: list[str]) -> tuple[Pixels, Metadata, int]:
    with Image.open(file, formats=formats) as image:
        # An MPO file is a JPEG with further pictures, such as previews, behind it.
        if formats == ["WEBP"] and getattr(image, "is_animated", False):
            raise IrodoriError("animated; save one of its pictures as a file of its own")
        refuse_size(*image.size)
        pixels = to_arrays(image)
        metadata = Metadata.of(image.info)
        return pixels, metadata, metadata.orientation()


def _heif(file: BinaryIO, head: bytes) -> tuple[Pixels, Metadata, int]:
    if head[8:12] in _AVIF and "AVIF" in _pillow_formats():
        return _by_pillow(file, ["AVIF"])
    try:
        heif: Any = importlib.import_module("pillow_heif")
    except ModuleNotFoundError:
        raise IrodoriError(
            "HEIC needs a decoder; install it with `pip install 'irodori[heif]'`"
        ) from None
    heif.register_heif_opener()
    return _by_pillow(file, ["HEIF"])


def _pillow_formats() -> dict[str, Any]:
    Image.init()
    return Image.OPEN


def _refuse_unfinished(content: bytes) -> None:
    """Raise IrodoriError for a JPEG whose end marker is missing.

    Pillow sees data that stop. Where zeros follow instead, as on a rescued disk, it would paint
    gray and say nothing.
    """
    place = 2
    while place + 4 <= len(content):
        if content[place] != 0xFF:  # padding, which decoders pass over
            place = content.find(b"\xff", place)
            if place < 0:
                break
            continue
        if content[place + 1] == 0xDA:  # the first scan; the marker can't stand within its data
            if content.find(b"\xff\xd9", place) < 0:
                break
            return
        size = int.from_bytes(content[place + 2 : place + 4], "big")
        place += 2 + size if content[place + 1] != 0xFF else 1
    raise IrodoriError("truncated: its end is missing")
