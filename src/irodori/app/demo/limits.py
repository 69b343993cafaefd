"""How much a visitor may send; asked before anything is decoded."""

import importlib
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from irodori.imageio import tiff
from irodori.imageio.sizes import MAX_PIXELS
from irodori.imageio.tags import read_directory
from irodori.utils.errors import IrodoriError

_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    Args:
        megabytes: of a file, in millions of bytes.
        megapixels: of a photo, in millions.
        photos: at a time.

    Raises:
        IrodoriError: one is out of range.
    """

    megabytes: float = 50
    megapixels: float = 50
    photos: int = 20

    def __post_init__(self) -> None:
        for name, value, most in (
            ("--max-megabytes", self.megabytes, 10_000),
            ("--max-megapixels", self.megapixels, MAX_PIXELS / 1e6),
            ("--max-photos", self.photos, 100),
        ):
            if not 0 < value <= most:
                raise IrodoriError(f"{name} is {value:g}: give a number above 0, up to {most:g}")

    @property
    def bytes(self) -> int:
        """Of a file, at most."""
        return int(self.megabytes * 1e6)

    def refuse(self, path: Path) -> None:
        """Raise IrodoriError for a file that is too large, by its length and its header."""
        size = path.stat().st_size
        if size > self.bytes:
            raise IrodoriError(
                f"{size / 1e6:.1f} MB are more than the {self.megabytes:g} MB that this page takes"
            )
        pixels = pixels_by_header(path)
        if pixels > self.megapixels * 1e6:
            found = "too many" if pixels == math.inf else f"{pixels / 1e6:.1f} million"
            raise IrodoriError(
                f"{found} pixels; this page takes up to {self.megapixels:g} million:"
                " scale the photo down, or use `irodori colorize`"
            )


def pixels_by_header(path: Path) -> float:
    """How many pixels a photo says it has; inf: more than are ever read, 0: it isn't known.

    Every kind of file that `read_photo` decodes says it here: Pillow's by Pillow, which decodes
    nothing before it is asked to, and TIFFs, of which Pillow knows but some, by their directory.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
            file.seek(0)
            if head.startswith(tiff.MAGIC):
                directory = read_directory(file)
                return directory.number(_TIFF_WIDTH, 0) * directory.number(_TIFF_HEIGHT, 0)
            if head[4:8] == b"ftyp":
                with suppress(ModuleNotFoundError):
                    heif: Any = importlib.import_module("pillow_heif")
                    heif.register_heif_opener()
            with Image.open(file) as image:
                return image.width * image.height
    except Image.DecompressionBombError:
        return math.inf
    except Exception:
        # Of many kinds, by what the file is; what is wrong with it, reading it will say.
        return 0
