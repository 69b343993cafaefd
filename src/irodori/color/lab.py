"""CIE L*a*b* (1976) under D65: the space that the paper found best."""

from typing import ClassVar

from torch import Tensor

from irodori.color.planes import (
    Matrix,
    Planes,
    by_parts,
    check_picture,
    full_precision,
    inverse,
    join,
    mix,
    power_,
    split,
    up_to,
    weighted,
    working_dtype,
)
from irodori.color.space import OfLight
from irodori.color.srgb import (
    D65_WHITE,
    XYZ_FROM_LINEAR_RGB,
    linear_from_srgb,
)

# Where CIE's cube root turns into a line, (6/29)³ and its slope, (29/6)²/3, to the digits that
# scikit-image and kornia use.
THRESHOLD = 0.008856
SLOPE = 7.787
OFFSET = 4 / 29
ROOT_OF_THRESHOLD = 0.2068966

SHARES_FROM_LINEAR_RGB: Matrix = tuple(  # type: ignore[assignment]
    tuple(share / white for share in row)
    for row, white in zip(XYZ_FROM_LINEAR_RGB, D65_WHITE, strict=True)
)
"""X, Y and Z, each as a share of white's."""
LINEAR_RGB_FROM_SHARES = inverse(SHARES_FROM_LINEAR_RGB)


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
        (lab_B3HW,) = by_parts(
            lambda part_B3HW: (join(_lab_from_srgb(part_B3HW)),),
            rgb_B3HW.to(working_dtype(rgb_B3HW)),
        )
        return lab_B3HW


class Lab(OfLight):
    """CIE L*a*b* of sRGB under D65 (2° observer)."""

    name: ClassVar[str] = "lab"
    luminance_range: ClassVar[float] = 100.0
    # sRGB reaches a* = 98.25 and b* = -107.86.
    chroma_range: ClassVar[tuple[float, ...]] = (100.0, 110.0)

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        return _lab_from_srgb(rgb_B3HW)

    def _luminance(self, rgb_B3HW: Tensor) -> Tensor:
        light = weighted(SHARES_FROM_LINEAR_RGB[1], split(linear_from_srgb(rgb_B3HW)))
        return _curve(light).mul_(1.16).sub_(0.16).unsqueeze(1)

    def _to_linear(self, native: Planes) -> Tensor:
        lightness, a, b = native
        y = (lightness + 16).div_(116)
        # A dark, very yellow prediction would need far less than no blue light. Stopping here is
        # what scikit-image and kornia do; pictures then look the same in other tools.
        z = y.sub(b, alpha=1 / 200).clamp_(min=0)
        x = y.add(a, alpha=1 / 500)
        return join(
            mix(LINEAR_RGB_FROM_SHARES, (inverse_curve(x), inverse_curve(y), inverse_curve(z)))
        )


def _lab_from_srgb(rgb_B3HW: Tensor) -> Planes:
    x, y, z = map(_curve, mix(SHARES_FROM_LINEAR_RGB, split(linear_from_srgb(rgb_B3HW))))
    a, b = x.sub_(y).mul_(500), (y - z).mul_(200)
    return y.mul_(116).sub_(16), a, b


def _curve(light: Tensor) -> Tensor:
    root = power_(light.clamp(min=THRESHOLD), 1 / 3)
    return root.add(up_to(THRESHOLD, (THRESHOLD ** (1 / 3) - OFFSET) / SLOPE, light), alpha=SLOPE)


def inverse_curve(root: Tensor) -> Tensor:
    """Return light, as a share of white's, for the root that L*a*b* is made of."""
    cube = root.clamp(min=ROOT_OF_THRESHOLD) ** 3
    zero = OFFSET + SLOPE * ROOT_OF_THRESHOLD**3
    return cube.add_(up_to(ROOT_OF_THRESHOLD, zero, root), alpha=1 / SLOPE)
