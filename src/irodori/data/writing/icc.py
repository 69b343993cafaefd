"""Colour profiles: which pictures are not sRGB, and their way there."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SAME = 2
"""A profile counts as sRGB if no colour of a coarse grid moves by more than so many of 255 levels:
sRGB comes in many files that differ in their last digits."""

_SPACES = {"RGB": "RGB ", "CMYK": "CMYK"}


@lru_cache(maxsize=64)
def to_srgb(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform of a picture of mode RGB or CMYK to sRGB, None if there is none to make.

    None for pictures without a profile, with sRGB's, and with one that is damaged or of another
    kind of picture: browsers leave such profiles aside too.
    """
    if not profile or mode not in _SPACES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "RGB":
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
        moved = ImageCms.applyTransform(Image.fromarray(grid), transform)
        assert moved is not None
        if np.abs(np.asarray(moved).astype(int) - grid).max() <= SAME:
            return None
    return transform
