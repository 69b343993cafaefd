"""CIE L*u*v* (1976) under D65."""

from typing import ClassVar

from torch import Tensor

from irodori.color.planes import Planes, join, mix, power_, split, up_to, weighted
from irodori.color.space import OfLight
from irodori.color.srgb import (
    D65_WHITE,
    LINEAR_RGB_FROM_XYZ,
    XYZ_FROM_LINEAR_RGB,
    linear_from_srgb,
    xyz_from_srgb,
)

# Where CIE's cube root turns into a line, and the line's slope, to the digits that scikit-image
# and kornia use.
THRESHOLD = 0.008856
SLOPE = 903.3
LIGHTNESS_AT_THRESHOLD = 7.999625

_SUM_OF_WHITE = D65_WHITE[0] + 15 * D65_WHITE[1] + 3 * D65_WHITE[2]
WHITE_U = 4 * D65_WHITE[0] / _SUM_OF_WHITE
WHITE_V = 9 * D65_WHITE[1] / _SUM_OF_WHITE

# Below the L* of the darkest 8-bit colour that is not black (0.0198, one level of blue): what is
# divided by L* stays bounded in black.
DARKEST_LIGHTNESS = 1e-3
# Below the v′ of every visible colour (0.0166, at the violet end of the spectrum). A predicted
# chroma can ask for v′ ≤ 0, where the formula divides by zero and gradients were found to reach
# 5e7.
LOWEST_V = 1 / 64


class Luv(OfLight):
    """CIE L*u*v* of sRGB under D65 (2° observer)."""

    name: ClassVar[str] = "luv"
    luminance_range: ClassVar[float] = 100.0
    # sRGB reaches u* = 175.05 and v* = -134.12.
    chroma_range: ClassVar[tuple[float, ...]] = (176.0, 135.0)

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        x, y, z = xyz_from_srgb(rgb_B3HW)
        lightness = _lightness(y)
        # Black has no u′ and v′. Its L* of 0 makes u* and v* 0, whatever the quotient.
        total = (x + 15 * y + 3 * z).clamp(min=1e-9)
        u = 13 * lightness * (4 * x / total - WHITE_U)
        v = 13 * lightness * (9 * y / total - WHITE_V)
        return lightness, u, v

    def _luminance(self, rgb_B3HW: Tensor) -> Tensor:
        y = weighted(XYZ_FROM_LINEAR_RGB[1], split(linear_from_srgb(rgb_B3HW)))
        return (_lightness(y) / self.luminance_range).unsqueeze(1)

    def _to_linear(self, native: Planes) -> Tensor:
        lightness, u, v = native
        cube = ((lightness.clamp(min=LIGHTNESS_AT_THRESHOLD) + 16) / 116) ** 3
        zero = SLOPE * ((LIGHTNESS_AT_THRESHOLD + 16) / 116) ** 3
        y = cube.add_(up_to(LIGHTNESS_AT_THRESHOLD, zero, lightness), alpha=1 / SLOPE)
        divisor = 13 * lightness.clamp(min=DARKEST_LIGHTNESS)
        u_prime = u / divisor + WHITE_U
        v_prime = (v / divisor + WHITE_V).clamp(min=LOWEST_V)
        x = y * 9 * u_prime / (4 * v_prime)
        z = y * (12 - 3 * u_prime - 20 * v_prime) / (4 * v_prime)
        return join(mix(LINEAR_RGB_FROM_XYZ, (x, y, z)))


def _lightness(y: Tensor) -> Tensor:
    root = power_(y.clamp(min=THRESHOLD), 1 / 3)
    zero = (116 * THRESHOLD ** (1 / 3) - 16) / SLOPE
    return (116 * root).sub_(16).add_(up_to(THRESHOLD, zero, y), alpha=SLOPE)
