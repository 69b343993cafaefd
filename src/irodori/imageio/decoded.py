"""Pixels as their file stores them, before they are upright and in sRGB."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from irodori.imageio.photo import Metadata
from irodori.utils.errors import IrodoriError

_ROWS = 256
# Color spaces of Pillow's modes, and the mode they are converted to without and with transparency.
_SPACES = {"1": "gray", "L": "gray", "LA": "gray", "La": "gray", "CMYK": "cmyk", "LAB": "lab"}
_SPACES |= dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"), "rgb")
_MODES = {"gray": ("L", "LA"), "rgb": ("RGB", "RGBA"), "cmyk": ("CMYK",), "lab": ("LAB",)}
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class Decoded(NamedTuple):
    """A decoded file.

    colors: H×W×C, uint8 or uint16, of a space of `color.to_srgb`. alpha: H×W of the same dtype.
    profile: an ICC profile, not checked. upright: the orientation is applied already.
    """

    colors: np.ndarray
    space: str
    alpha: np.ndarray | None
    profile: bytes | None
    metadata: Metadata
    notes: Sequence[str] = ()
    upright: bool = False


def from_image(image: Image.Image, profile: bytes | None = None) -> Decoded:
    """Return the pixels of a Pillow image, which is loaded; 8 bits, or 16 of gray."""
    image.load()
    width, height = image.size
    if image.mode in _DEEP:
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise IrodoriError("values beyond 0 to 65535; save it with 16 bits")
        return Decoded(levels.astype(np.uint16)[..., None], "gray", None, profile, Metadata())
    if image.mode not in _SPACES:
        raise IrodoriError(f"{image.mode} pixels; save it as 8- or 16-bit gray or RGB")
    space = _SPACES[image.mode]
    clear = image.has_transparency_data
    mode = _MODES[space][int(clear)]
    if clear and space == "gray" and "transparency" in image.info:
        mode = "RGBA"  # Pillow knows no LA for a transparent level
    pixels = np.empty((height, width, len(Image.new(mode, (1, 1)).getbands())), np.uint8)
    for top in range(0, height, _ROWS):  # a few rows at a time: no second picture
        rows = image.crop((0, top, width, min(top + _ROWS, height))).convert(mode)
        pixels[top : top + _ROWS] = np.atleast_3d(np.asarray(rows))
    alpha = np.ascontiguousarray(pixels[..., -1]) if clear else None
    colors = pixels[..., : 1 if space == "gray" else 3] if clear else pixels
    return Decoded(colors, space, alpha, profile, Metadata())


def scaled(levels: np.ndarray, max_level: int) -> np.ndarray:
    """Return levels up to `max_level`, white, as uint8 (of 8 bits at most) or uint16."""
    dtype = np.uint8 if max_level <= 255 else np.uint16
    if max_level in (255, 65535):
        return levels.astype(dtype, copy=False)
    white = np.iinfo(dtype).max
    table = np.rint(np.arange(white + 1) * (white / max_level)).clip(0, white).astype(dtype)
    return np.asarray(table[levels.astype(dtype, copy=False)])
