"""CIE L*u*v* (1976) under D65."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.planes import Planes
from irodori.color.space import LinearlyScaled
from irodori.color.srgb import D65_WHITE, srgb_from_xyz, xyz_from_srgb

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


class Luv(LinearlyScaled):
    """CIE L*u*v* of sRGB under D65 (2° observer)."""

    name: ClassVar[str] = "luv"
    luminance_range: ClassVar[float] = 100.0
    # sRGB reaches u* = 175.05 and v* = -134.12.
    chroma_range: ClassVar[tuple[float, ...]] = (176.0, 135.0)

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        x, y, z = xyz_from_srgb(rgb_B3HW)
        root = y.clamp(min=THRESHOLD) ** (1 / 3)
        lightness = torch.where(y > THRESHOLD, 116 * root - 16, SLOPE * y)
        # Black has no u′ and v′. Its L* of 0 makes u* and v* 0, whatever the quotient.
        total = (x + 15 * y + 3 * z).clamp(min=1e-9)
        u = 13 * lightness * (4 * x / total - WHITE_U)
        v = 13 * lightness * (9 * y / total - WHITE_V)
        return lightness, u, v

    def _to_rgb(self, native: Planes) -> Tensor:
        lightness, u, v = native
        cube = ((lightness + 16) / 116) ** 3
        y = torch.where(lightness > LIGHTNESS_AT_THRESHOLD, cube, lightness / SLOPE)
        divisor = 13 * lightness.clamp(min=DARKEST_LIGHTNESS)
        u_prime = u / divisor + WHITE_U
        v_prime = (v / divisor + WHITE_V).clamp(min=LOWEST_V)
        x = y * 9 * u_prime / (4 * v_prime)
        z = y * (12 - 3 * u_prime - 20 * v_prime) / (4 * v_prime)
        return srgb_from_xyz((x, y, z))
