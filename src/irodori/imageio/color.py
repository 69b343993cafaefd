"""Conversion of pixels from any color space and profile to sRGB, keeping the bit depth.

A damaged or unsuitable profile is ignored, as in browsers, and so is any profile equivalent to
sRGB: there are many sRGB profiles that differ in their last digits.
"""

from functools import lru_cache

import imagecodecs
import numpy as np

_DATE = slice(24, 36)  # creation date in an ICC profile's header
_SPACES = {"gray": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK"}
_SAME = 2  # tolerance in 8-bit levels for a profile to count as sRGB
_RELATIVE, _BLACK_POINT, _NO_TABLES = 1, 0x2000, 0x0100
"""LittleCMS's intent and flags. By default it replaces curves with 16-bit tables: for Adobe RGB,
the largest error is 1070 of 65535 levels with them and 31 without."""
_USUAL = 0.45455
_D65 = (0.3127, 0.329)
_PRIMARIES = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


@lru_cache(maxsize=1)
def srgb() -> bytes:
    """Return the sRGB profile of results, always the same bytes."""
    profile = bytearray(imagecodecs.cms_profile("srgb"))
    profile[_DATE] = bytes([7, 207, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0])  # date of the sRGB standard
    return bytes(profile)


def profile_of(space: str, gamma: float, chromaticities: tuple[float, ...] = ()) -> bytes | None:
    """Return a profile for PNG's gAMA and cHRM; None if they mean sRGB or are invalid.

    Args:
        space: "gray" or "rgb".
        gamma: the file's gamma: 1 for linear light, 0.45455 for sRGB.
        chromaticities: x and y of white, red, green and blue.
    """
    white, primaries = chromaticities[:2] or _D65, chromaticities[2:] or _PRIMARIES
    usual = abs(gamma - _USUAL) < 0.02  # viewers treat it as sRGB's curve, which it approximates
    if usual and np.allclose([*white, *primaries], [*_D65, *_PRIMARIES], atol=0.002):
        return None
    corners = [(*primaries[n : n + 2], 1.0) for n in (0, 2, 4)]
    try:
        return bytes(
            imagecodecs.cms_profile(
                space,
                whitepoint=[*white, 1.0],
                primaries=[number for corner in corners for number in corner],
                gamma=1 / (_USUAL if usual else gamma),
            )
        )
    except (imagecodecs.CmsError, ValueError, ZeroDivisionError):
        return None


@lru_cache(maxsize=32)
def distance_from_srgb(profile: bytes, space: str) -> float:
    """Return the largest difference between a profile's and sRGB's colors, in 8-bit levels.

    inf if the profile is unsuitable for this color space ("gray", "rgb" or "cmyk").
    """
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    channels = {"gray": 1, "rgb": 3, "cmyk": 4}[space]
    grid = np.stack(np.meshgrid(*[levels] * channels), -1).reshape(-1, 1, channels)
    try:
        moved = _transformed(grid, profile, space).astype(int)
    except Exception:  # LittleCMS raises many exceptions
        return np.inf
    if profile[16:20] != _SPACES[space]:
        return np.inf
    return 255.0 if space == "cmyk" else float(np.abs(moved - grid).max())


def differs_from_srgb(profile: bytes | None, space: str) -> bool:
    """Return whether there is a usable profile that differs from sRGB."""
    return bool(profile) and _SAME < distance_from_srgb(profile, space) < np.inf


def to_srgb(levels_HWC: np.ndarray, space: str, profile: bytes | None) -> np.ndarray:
    """Convert pixel levels to sRGB, H×W×1 or H×W×3.

    Args:
        levels_HWC: levels in `space`, uint8 or uint16, contiguous.
        space: "gray", "rgb", "cmyk" (all bits set are full ink) or "lab" (ICC's encoding).
        profile: valid ICC profile; None: gray and RGB are sRGB, CMYK are ideal inks.
    """
    if space == "lab":
        profile = imagecodecs.cms_profile("lab4")
    if profile is None:
        return _from_inks(levels_HWC) if space == "cmyk" else levels_HWC
    if space != "lab" and distance_from_srgb(profile, space) <= _SAME:
        return levels_HWC
    if space == "gray":
        ramp = np.arange(np.iinfo(levels_HWC.dtype).max + 1, dtype=levels_HWC.dtype)
        levels = _transformed(ramp[None, :, None], profile, space)[0, :, 1]
        return np.asarray(np.ascontiguousarray(levels)[levels_HWC])
    target = np.empty((*levels_HWC.shape[:2], 3), levels_HWC.dtype)
    for top in range(0, len(target), 64):  # a few rows at a time
        target[top : top + 64] = _transformed(levels_HWC[top : top + 64], profile, space)
    return target


def _from_inks(inks_HW4: np.ndarray) -> np.ndarray:
    """Return the RGB levels of ideal inks."""
    white = np.uint64(np.iinfo(inks_HW4.dtype).max)
    target = np.empty((*inks_HW4.shape[:2], 3), inks_HW4.dtype)
    for row, inks in zip(target, inks_HW4, strict=True):
        light = white - inks
        row[...] = (light[:, :3] * light[:, 3:] + white // 2) // white
    return target


def _transformed(levels_HWC: np.ndarray, profile: bytes, space: str) -> np.ndarray:
    flags = _BLACK_POINT | (_NO_TABLES if levels_HWC.dtype == np.uint16 else 0)
    levels = levels_HWC[..., 0] if space == "gray" else levels_HWC
    return np.asarray(
        imagecodecs.cms_transform(
            levels, profile, srgb(), colorspace=space, outcolorspace="rgb",
            outdtype=levels.dtype, intent=_RELATIVE, flags=flags,
        )
    )  # fmt: skip
