"""A photo as it is coloured: upright pixels in sRGB, and what its file says about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from irodori.imageio.metadata import Metadata
from irodori.utils.errors import IrodoriError


class Format(NamedTuple):
    """What a kind of file can hold.

    deep: 16 bits a channel. alpha: transparency. side: the most pixels that a side can have, 0 for
    no limit that matters.
    """

    deep: bool = False
    alpha: bool = False
    side: int = 0


FORMATS = {
    "JPEG": Format(side=65500),
    "PNG": Format(deep=True, alpha=True),
    "TIFF": Format(deep=True, alpha=True),
    "WEBP": Format(alpha=True, side=16383),
    "BMP": Format(),
}
"""What photos are written as, by Pillow's names."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    pixels: H×W×1 (gray) or H×W×3 (sRGB), uint8 or uint16, upright, contiguous. alpha: H×W of the
    same dtype, None for a photo without transparency. metadata: of the upright picture. format:
    Pillow's name of the file's format, one of `FORMATS` or "HEIF" (HEIC and AVIF). notes: what was
    left out or assumed, each a phrase for one line.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    metadata: Metadata
    format: str
    notes: tuple[str, ...] = ()


class Header(NamedTuple):
    """What a file says of its picture before anything is decoded.

    decoded_bytes: that decoding takes. format: as `Photo.format`.
    """

    width: int
    height: int
    decoded_bytes: int
    format: str


@dataclass(frozen=True)
class Provenance:
    """What a result says of how it was colorized.

    model and model_hash: the network's name and SHA-256. settings: how it was used. source_type:
    one of IPTC's digital source types. label: burn a small visible mark into the picture.
    """

    model: str
    model_hash: str
    settings: Mapping[str, object]
    source_type: str = "compositeWithTrainedAlgorithmicMedia"
    label: bool = False


@dataclass(frozen=True)
class Encoding:
    """How a result is written.

    format: one of `FORMATS`; None keeps the photo's own. quality: 1 to 100, of JPEG and WebP; None
    is `QUALITY`'s of writing.py. The lossless formats have none.

    Raises:
        IrodoriError: another format or quality.
    """

    format: str | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise IrodoriError(f"no format {self.format}; choose one of {', '.join(FORMATS)}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise IrodoriError(f"quality is 1 to 100, not {self.quality}")


def to_uint8(levels: np.ndarray) -> np.ndarray:
    """16-bit levels as 8-bit ones of the same shape, rounded to the nearest: v / 257."""
    shallow = np.empty(levels.shape, np.uint8)
    for row, deep in zip(shallow, levels, strict=True):  # row by row: no second picture of floats
        row[...] = (deep.astype(np.uint32) + 128) // 257
    return shallow
