"""CIE L*a*b* (1976) under D65: the space that the paper found best."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.planes import Planes, check_picture, full_precision, join, working_dtype
from irodori.color.space import LinearlyScaled
from irodori.color.srgb import D65_WHITE, srgb_from_xyz, xyz_from_srgb

# Where CIE's cube root turns into a line, (6/29)³ and its slope, (29/6)²/3, to the digits that
# scikit-image and kornia use.
THRESHOLD = 0.008856
SLOPE = 7.787
OFFSET = 4 / 29
ROOT_OF_THRESHOLD = 0.2068966


def rgb_to_lab(rgb_B3HW: Tensor) -> Tensor:
    """Return a picture in native CIE L*a*b* units: what colour differences are measured in.

    Args:
        rgb_B3HW: sRGB in [0, 1], of any floating-point type.

    Returns:
        B×3×H×W: L* in [0, 100], a* in [-86.2, 98.3], b* in [-107.9, 94.5]; fp32 (or float64),
        computed outside autocast.

    Raises:
        TypeError: if the picture is not of floating point.
        ValueError: if it has another shape.
    """
    check_picture(rgb_B3HW, "rgb_B3HW", 3)
    with full_precision(rgb_B3HW.device):
        return join(_lab_from_srgb(rgb_B3HW.to(working_dtype(rgb_B3HW))))


class Lab(LinearlyScaled):
    """CIE L*a*b* of sRGB under D65 (2° observer)."""

    name: ClassVar[str] = "lab"
    luminance_range: ClassVar[float] = 100.0
    # sRGB reaches a* = 98.25 and b* = -107.86.
    chroma_range: ClassVar[tuple[float, ...]] = (100.0, 110.0)

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        return _lab_from_srgb(rgb_B3HW)

    def _to_rgb(self, native: Planes) -> Tensor:
        lightness, a, b = native
        y = (lightness + 16) / 116
        x = y + a / 500
        # A dark, very yellow prediction would need far less than no blue light. Stopping here is
        # what scikit-image and kornia do; pictures then look the same in other tools.
        z = (y - b / 200).clamp(min=0)
        x, y, z = (
            inverse_curve(plane) * white for plane, white in zip((x, y, z), D65_WHITE, strict=True)
        )
        return srgb_from_xyz((x, y, z))


def _lab_from_srgb(rgb_B3HW: Tensor) -> Planes:
    x, y, z = (
        _curve(plane / white)
        for plane, white in zip(xyz_from_srgb(rgb_B3HW), D65_WHITE, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _curve(light: Tensor) -> Tensor:
    root = light.clamp(min=THRESHOLD) ** (1 / 3)
    return torch.where(light > THRESHOLD, root, SLOPE * light + OFFSET)


def inverse_curve(root: Tensor) -> Tensor:
    """Return light, as a share of white's, for the root that L*a*b* is made of."""
    return torch.where(root > ROOT_OF_THRESHOLD, root**3, (root - OFFSET) / SLOPE)
