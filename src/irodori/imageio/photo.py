"""Decoded photos: upright pixels in sRGB, and metadata."""

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
    """Metadata of a photo file.

    exif: EXIF block, starting with the TIFF header. xmp: XMP packet. iptc: IPTC-IIM records. texts:
    PNG texts by keyword, and comments as "Comment". dpi: horizontal and vertical resolution of the
    upright picture in dots per inch.
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
    same dtype, None for a photo without transparency. (Both are `Rows` for photos too large for
    memory, if requested.) format: Pillow's name of the file's format. notes: what was omitted or
    assumed, one phrase each.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    metadata: Metadata
    format: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """How a result was made, as recorded in its file.

    model and model_hash: the model's name and SHA-256. settings: description of the settings.
    source_type: IPTC digital source type. label: whether to burn a small visible mark into the
    picture.
    """

    model: str
    model_hash: str
    settings: Mapping[str, object]
    source_type: str = "compositeWithTrainedAlgorithmicMedia"
    label: bool = False

    @property
    def description(self) -> str:
        """Description of the processing for the file's history."""
        settings = "".join(f"; {name}={value}" for name, value in self.settings.items())
        return f"colorized by {self.model} (SHA-256 {self.model_hash}){settings}"


@dataclass(frozen=True)
class Encoding:
    """Output format and quality.

    format: one of `FORMATS`; None keeps the photo's. quality: 1 to 100 for JPEG and WebP; None:
    `QUALITY` in writing.py.

    Raises:
        IrodoriError: the format or quality is invalid.
    """

    format: str | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise IrodoriError(f"unknown format {self.format}; choose one of {', '.join(FORMATS)}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise IrodoriError(f"quality is {self.quality}: give a number from 1 to 100")


def is_colored(photo: Photo) -> bool:
    """Return whether a photo has colors other than the uniform tint of an old print."""
    if photo.pixels.shape[2] == 1:
        return False
    height, width, _ = photo.pixels.shape
    lines, step = range(0, height, max(1, height // 256)), max(1, width // 256)
    sample = np.concatenate([photo.pixels[line : line + 1][0, ::step] for line in lines])
    red, green, blue = (sample / np.iinfo(sample.dtype).max * 255).T
    chroma = np.stack([red - green, (red + green) / 2 - blue], 1)
    # A tint depends only on the lightness; deviations from it are colors.
    lightness = np.vander((red + green + blue) / 765, 4)
    tint = lightness @ np.linalg.lstsq(lightness, chroma, rcond=None)[0]
    return bool(np.sqrt(np.mean((chroma - tint) ** 2)) > 5)


def to_uint8(levels: np.ndarray) -> np.ndarray:
    """Convert levels to uint8; 16-bit levels are rounded to the nearest of v / 257."""
    if levels.dtype == np.uint8:
        return levels
    shallow = np.empty(levels.shape, np.uint8)
    for row, deep in zip(
        shallow, levels, strict=True
    ):  # row by row, to avoid a float copy of the picture
        row[...] = (deep.astype(np.uint32) + 128) // 257
    return shallow


def pil_to_pixels(image: Image.Image) -> np.ndarray:
    """Convert a PIL image to H×W×1 (gray) or H×W×3; uint16 for modes I;16 and I.

    Raises:
        TypeError: the image isn't a PIL image.
    """
    if not isinstance(image, Image.Image):
        raise TypeError(
            f"expected a PIL image, got {type(image).__name__}: convert arrays by Image.fromarray"
        )
    if image.mode.startswith("I"):
        # Pillow's own conversion would clip at 255.
        return np.asarray(image).clip(0, 65535).astype(np.uint16)[..., None]
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def pixels_to_pil(pixels_HWC: np.ndarray) -> Image.Image:
    """Convert pixels, H×W×1 or H×W×3, to an 8-bit image of mode L or RGB."""
    levels_HWC = to_uint8(pixels_HWC)
    return Image.fromarray(levels_HWC[..., 0] if levels_HWC.shape[2] == 1 else levels_HWC)
