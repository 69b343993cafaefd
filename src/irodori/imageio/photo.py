"""A photo as it is colorized: upright pixels in sRGB, and what its file says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from irodori import __version__
from irodori.imageio.kinds import FORMATS
from irodori.utils.errors import IrodoriError

SOFTWARE = f"irodori {__version__}"
IPTC_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photo, as its file states them.

    exif: an EXIF block, from TIFF's header on. xmp: an XMP packet. iptc: IPTC-IIM records. texts:
    PNG's texts by their keywords, and comments as "Comment". dpi: dots per inch, across and down,
    of the upright picture.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    pixels: H×W×1 (gray) or H×W×3 (sRGB), uint8 or uint16, upright, contiguous. alpha: H×W of the
    same dtype, None for a photo without transparency. (`Rows` both, if photos too large for memory
    were asked for.) format: Pillow's name of the file's format. notes: what was left out or
    assumed, each a phrase for one line.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    metadata: Metadata
    format: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """A result's record of how it was made.

    model and model_hash: the network's name and SHA-256. settings: how it was used. source_type: a
    term of IPTC's digital source types. label: burn a small visible mark into the picture.
    """

    model: str
    model_hash: str
    settings: Mapping[str, object]
    source_type: str = "compositeWithTrainedAlgorithmicMedia"
    label: bool = False

    @property
    def description(self) -> str:
        """What was done, for people who read the file's history."""
        settings = "".join(f"; {name}={value}" for name, value in self.settings.items())
        return f"colorized by {self.model} (SHA-256 {self.model_hash}){settings}"


@dataclass(frozen=True)
class Encoding:
    """Settings of how a result is written.

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


def is_colored(photo: Photo) -> bool:
    """Return whether a photo is in color already, beyond the one tint of an old print."""
    if photo.pixels.shape[2] == 1:
        return False
    height, width, _ = photo.pixels.shape
    lines, step = range(0, height, max(1, height // 256)), max(1, width // 256)
    sample = np.concatenate([photo.pixels[line : line + 1][0, ::step] for line in lines])
    red, green, blue = (sample / np.iinfo(sample.dtype).max * 255).T
    chroma = np.stack([red - green, (red + green) / 2 - blue], 1)
    # A tint is the same wherever the lightness is; what differs from that is color.
    lightness = np.vander((red + green + blue) / 765, 4)
    tint = lightness @ np.linalg.lstsq(lightness, chroma, rcond=None)[0]
    return bool(np.sqrt(np.mean((chroma - tint) ** 2)) > 5)


def to_uint8(levels: np.ndarray) -> np.ndarray:
    """Return uint8 as it is, and 16-bit levels rounded to the nearest 8-bit ones: v / 257."""
    if levels.dtype == np.uint8:
        return levels
    shallow = np.empty(levels.shape, np.uint8)
    for row, deep in zip(shallow, levels, strict=True):  # row by row: no second picture of floats
        row[...] = (deep.astype(np.uint32) + 128) // 257
    return shallow


def pil_to_pixels(image: Image.Image) -> np.ndarray:
    """Return a PIL image's pixels: H×W×1 if gray, else H×W×3; uint16 of modes I;16 and I."""
    if image.mode.startswith("I"):
        # Pillow's own conversion would cut everything above 255 off.
        return np.asarray(image).clip(0, 65535).astype(np.uint16)[..., None]
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def pixels_to_pil(pixels_HWC: np.ndarray) -> Image.Image:
    """Return pixels, H×W×1 or H×W×3, as an 8-bit image of mode L or RGB."""
    levels_HWC = to_uint8(pixels_HWC)
    return Image.fromarray(levels_HWC[..., 0] if levels_HWC.shape[2] == 1 else levels_HWC)
