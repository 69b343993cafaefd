"""Pixels as stored in a file, before rotation and conversion to sRGB."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from irodori.imageio.photo import Metadata
from irodori.utils.errors import IrodoriError

# For Pillow's modes: color space, and the mode to convert to without and with transparency.
_SPACES = {"1": "gray", "L": "gray", "LA": "gray", "La": "gray", "CMYK": "cmyk", "LAB": "lab"}
_SPACES |= dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"), "rgb")
_MODES = {"gray": ("L", "LA"), "rgb": ("RGB", "RGBA"), "cmyk": ("CMYK",), "lab": ("LAB",)}
_INKS = {"gray": 1, "cmyk": 4}


class Decoded(NamedTuple):
    """A decoded file.

    colors: H×W×C, uint8 or uint16, in a space of `color.to_srgb`. alpha: H×W of the same dtype.
    profile: ICC profile, unchecked. upright: whether the orientation has been applied.
    """

    colors: np.ndarray
    space: str
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    metadata: Metadata = Metadata()
    notes: Sequence[str] = ()
    upright: bool = False


def split(levels: np.ndarray, space: str) -> Decoded:
    """Split levels, H×W or H×W×C, into colors and an optional alpha channel."""
    levels, inks = np.atleast_3d(levels), _INKS.get(space, 3)
    if levels.ndim != 3 or levels.shape[2] < inks:
        raise IrodoriError("damaged: channels are missing")
    alpha = np.ascontiguousarray(levels[..., inks]) if levels.shape[2] > inks else None
    return Decoded(levels[..., :inks], space, alpha)


def from_levels(values: np.ndarray, max_level: int) -> Decoded:
    """Decode gray or RGB values, with optional alpha; `max_level` is white."""
    if values.dtype.kind != "u":
        raise IrodoriError("floating-point pixels; save it as 8- or 16-bit gray or RGB")
    values = np.atleast_3d(values)
    return split(scaled(values, max_level), "rgb" if values.shape[2] > 2 else "gray")


def from_image(image: Image.Image) -> Decoded:
    """Decode a Pillow image; 8 bits, or 16 bits for gray."""
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise IrodoriError("values beyond 0 to 65535; save it with 16 bits")
        return split(levels.astype(np.uint16), "gray")
    if image.mode not in _SPACES:
        raise IrodoriError(f"{image.mode} pixels; save it as 8- or 16-bit gray or RGB")
    image.load()
    space, clear = _SPACES[image.mode], image.has_transparency_data
    mode = _MODES[space][int(clear)]
    by_level = mode == "LA" and "transparency" in image.info
    mode = "RGBA" if by_level else mode  # Pillow doesn't support LA for a transparent level
    levels = np.asarray(image if image.mode == mode else image.convert(mode))
    return split(levels[..., 2:] if by_level else levels, space)


def scaled(levels: np.ndarray, max_level: int) -> np.ndarray:
    """Scale levels up to `max_level` (white) to uint8 (if at most 8 bits) or uint16."""
    dtype = np.uint8 if max_level <= 255 else np.uint16
    if max_level in (255, 65535):
        return levels.astype(dtype, copy=False)
    white = np.iinfo(dtype).max
    table = np.rint(np.arange(white + 1) * (white / max_level)).clip(0, white).astype(dtype)
    return np.asarray(table[levels.astype(dtype, copy=False)])
