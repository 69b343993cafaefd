"""From Pillow's 8-bit images to arrays, a few rows at a time: no second picture is made."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from irodori.data.writing.icc import to_srgb
from irodori.imageio.profiles import gray_levels
from irodori.utils.errors import IrodoriError

_ROWS = 256

_GRAY = ("1", "L", "LA", "La")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_KNOWN = (*_GRAY, *_ALPHA, "P", "RGB", "CMYK", "YCbCr")


class Pixels(NamedTuple):
    """Colours in sRGB and transparency; colors: H×W×1 or H×W×3, alpha: H×W or None."""

    colors: np.ndarray
    alpha: np.ndarray | None


def to_arrays(image: Image.Image, key: tuple[int, ...] | None = None) -> Pixels:
    """The pixels of an image, in sRGB by its own profile.

    Args:
        image: of any 8-bit mode or 1 bit, loaded or not.
        key: the gray level or the colour that is transparent, if there is one.

    Returns:
        uint8 arrays; gray stays one channel.

    Raises:
        IrodoriError: another kind of pixels.
        OSError: the file is cut off or damaged.
    """
    if image.mode not in _KNOWN:
        what = {"F": "floating-point", "LAB": "L*a*b*"}.get(image.mode, f"{image.mode}")
        raise IrodoriError(f"{what} pixels; save it as 8- or 16-bit gray or RGB")
    image.load()
    gray = image.mode in _GRAY
    has_alpha = image.mode in _ALPHA or (image.mode == "P" and "transparency" in image.info)
    profile = image.info.get("icc_profile")
    transform = None if gray else to_srgb(profile, "CMYK" if image.mode == "CMYK" else "RGB")
    levels = gray_levels(profile, np.uint8) if gray else None

    width, height = image.size
    colors = np.empty((height, width, 1 if gray else 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha or key is not None else None
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        strip = image.crop((0, rows.start, width, rows.stop))
        if has_alpha and alpha is not None:
            strip = strip.convert("LA" if gray else "RGBA")
            alpha[rows] = np.asarray(strip.getchannel("A"))
        colors[rows] = _converted(strip, gray, transform)
        if key is not None and alpha is not None:
            alpha[rows] = np.where((colors[rows] == np.array(key)).all(axis=2), 0, 255)
        if levels is not None:
            colors[rows] = levels[colors[rows]]
    return Pixels(colors, alpha)


def _converted(
    strip: Image.Image, gray: bool, transform: ImageCms.ImageCmsTransform | None
) -> np.ndarray:
    if gray:
        return np.asarray(strip.convert("L"))[..., None]
    if transform is not None and strip.mode == "CMYK":
        strip = _applied(strip, transform)
    strip = strip.convert("RGB")
    if transform is not None and transform.input_mode == "RGB":
        strip = _applied(strip, transform)
    return np.asarray(strip)


def _applied(strip: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    moved = ImageCms.applyTransform(strip, transform)
    assert moved is not None
    return moved
