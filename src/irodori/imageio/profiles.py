"""Colour profiles: from the photo's own to sRGB, in the photo's own depth.

A profile that is damaged or of another kind of picture is left aside, as browsers do; so is one
that says sRGB in other words (see `irodori.data.writing.icc`, which decides it for RGB).
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from irodori.data.writing.icc import SAME, to_srgb

_DATE = slice(24, 36)  # of an ICC profile's header: when it was made

_NO_OPTIMIZING = 0x0100
"""LittleCMS would replace a profile's curves by tables otherwise: of Adobe RGB, the largest error
is 31 of 65535 levels without them and 1070 with them."""


@lru_cache(maxsize=1)
def srgb() -> bytes:
    """The profile that every result carries; always the same bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_DATE] = bytes([7, 207, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0])  # sRGB's own: October 1999
    return bytes(profile)


@lru_cache(maxsize=16)
def gray_levels(profile: bytes | None, dtype: type[np.generic]) -> np.ndarray | None:
    """What each gray level of a picture becomes in sRGB; None for what stays as it is.

    Args:
        profile: the picture's, of any kind.
        dtype: uint8 or uint16, the picture's depth.

    Returns:
        256 or 65536 levels of the same dtype.
    """
    source = _opened(profile, "GRAY")
    if source is None or profile is None:
        return None
    shallow = np.arange(256, dtype=np.uint8)
    try:
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            "L",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    moved = ImageCms.applyTransform(Image.fromarray(shallow[None]), transform)
    assert moved is not None
    levels = np.asarray(moved)[0, :, 1]
    if np.abs(levels.astype(int) - shallow).max() <= SAME:
        return None
    if dtype is np.uint16:
        deep = np.arange(65536, dtype=np.uint16)[None]
        return _transformed(deep, profile, "gray")[0, :, 1].copy()
    return levels.copy()


def deep_to_srgb(pixels_HWC: np.ndarray, profile: bytes | None) -> np.ndarray:
    """16-bit pixels in sRGB.

    Args:
        pixels_HWC: H×W×3 RGB or H×W×4 CMYK (65535 is full ink), uint16.
        profile: the picture's; None or one that is left aside takes RGB as it is, and CMYK for
            ideal inks.

    Returns:
        H×W×3 uint16; RGB that stays as it is is no copy.
    """
    cmyk = pixels_HWC.shape[2] == 4
    known = to_srgb(profile, "CMYK" if cmyk else "RGB") is not None
    if not cmyk and not known:
        return pixels_HWC
    # In place for RGB, and a few rows at a time: a large photo is not copied.
    height, width, _ = pixels_HWC.shape
    target = np.empty((height, width, 3), np.uint16) if cmyk else pixels_HWC
    for top in range(0, height, 64):
        rows = slice(top, top + 64)
        if known and profile is not None:
            kind = "cmyk" if cmyk else "rgb"
            target[rows] = _transformed(pixels_HWC[rows], profile, kind)
        else:
            light = 65535 - pixels_HWC[rows].astype(np.uint64)
            target[rows] = (light[..., :3] * light[..., 3:] + 32767) // 65535
    return target


def _transformed(pixels: np.ndarray, profile: bytes, kind: str) -> np.ndarray:
    """H×W×3 of H×W×3 RGB, H×W×4 CMYK or H×W gray, all uint16."""
    import imagecodecs  # large, and only 16-bit photos need it

    return np.asarray(
        imagecodecs.cms_transform(
            pixels,
            profile,
            srgb(),
            colorspace=kind,
            outcolorspace="rgb",
            outdtype=np.uint16,
            intent=int(ImageCms.Intent.RELATIVE_COLORIMETRIC),
            flags=_NO_OPTIMIZING | int(ImageCms.Flags.BLACKPOINTCOMPENSATION),
        )
    )


def _opened(profile: bytes | None, space: str) -> ImageCms.ImageCmsProfile | None:
    """A profile if it is a sound one of this colour space."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
    except (ImageCms.PyCMSError, OSError):
        return None
    return opened if opened and opened.profile.xcolor_space == space else None
