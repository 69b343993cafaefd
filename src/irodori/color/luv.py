"""CIE L*u*v* (1976) under D65."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.space import ColorSpace

# u′ and v′ of kornia's white point: 4 X and 9 Y divided by X + 15 Y + 3 Z.
_SUM_OF_WHITE = 0.95047 + 15 + 3 * 1.08883
WHITE_U, WHITE_V = 4 * 0.95047 / _SUM_OF_WHITE, 9 / _SUM_OF_WHITE
# Below the L* of the darkest 8-bit color except black (0.0198, one level of blue).
DARKEST_LIGHTNESS = 1e-3
# Below the v′ of every visible color (0.0166, at the violet end of the spectrum).
LOWEST_V = 1 / 64


class Luv(ColorSpace):
    """CIE L*u*v* of sRGB under D65 (2° observer)."""

    luminance_range: ClassVar[float] = 100.0
    # sRGB reaches u* = 175.05 and v* = -134.12.
    chroma_range: ClassVar[tuple[float, ...]] = (176.0, 135.0)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        return kornia.color.rgb_to_luv(rgb_B3HW)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        # kornia's `luv_to_rgb` divides by L* and v′, which a network can predict as 0: values of
        # 1e14 and gradients of 3e25. In fp32 its error for pure blues, from cancellation, is
        # 2.4e-5, here 1.0e-5.
        lightness, u, v = native_BDHW.unbind(1)
        y = torch.where(lightness > 7.999625, ((lightness + 16) / 116) ** 3, lightness / 903.3)
        divisor = 13 * lightness.clamp(min=DARKEST_LIGHTNESS)
        u_prime = u / divisor + WHITE_U
        v_prime = (v / divisor + WHITE_V).clamp(min=LOWEST_V)
        x = y * 9 * u_prime / (4 * v_prime)
        z = y * (12 - 3 * u_prime - 20 * v_prime) / (4 * v_prime)
        light_B3HW = kornia.color.xyz_to_rgb(torch.stack([x, y, z], dim=1))
        return kornia.color.linear_rgb_to_rgb(light_B3HW)
