"""YUV and YCbCr, the color-difference spaces on ITU-R BT.601 luma.

Both scale B - Y and R - Y over their full range. They differ only in native units: scaled to [0,
1], their chroma is identical.
"""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.space import ColorSpace

KR, KG, KB = 0.299, 0.587, 0.114
"""Weights of red, green and blue in luma, from the standard."""

# kornia's YUV coefficients have three digits, so that U and V are off by up to 1.4e-4 and not
# exactly 0 for gray. They are linear in B - Y and R - Y, which can be recovered exactly: U = U_BLUE
# (B - Y) + U_RED (R - Y), and V accordingly.
U_BLUE, U_RED = 0.436 + 0.289 * KB / KG, -0.147 + 0.289 * KR / KG
V_BLUE, V_RED = -0.100 + 0.515 * KB / KG, 0.615 + 0.515 * KR / KG
DETERMINANT = U_BLUE * V_RED - U_RED * V_BLUE


class Yuv(ColorSpace):
    """Y, U and V of analog PAL video (BT.601 luma): U in ±0.436, V in ±0.615."""

    chroma_range: ClassVar[tuple[float, ...]] = (0.436, 0.615)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        y, u, v = kornia.color.rgb_to_yuv(rgb_B3HW).unbind(1)
        blueness = (V_RED * u - U_RED * v) / DETERMINANT
        redness = (U_BLUE * v - V_BLUE * u) / DETERMINANT
        return self._native(y, blueness, redness)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        y, blueness, redness = native_BDHW.unbind(1)
        blueness = blueness * ((1 - KB) / self.chroma_range[0])
        redness = redness * ((1 - KR) / self.chroma_range[1])
        u = U_BLUE * blueness + U_RED * redness
        v = V_BLUE * blueness + V_RED * redness
        return kornia.color.yuv_to_rgb(torch.stack([y, u, v], dim=1))

    def _native(self, y: Tensor, blueness: Tensor, redness: Tensor) -> Tensor:
        """Scale B - Y (largest for pure blue) and R - Y (for pure red) to `chroma_range`."""
        blueness = blueness * (self.chroma_range[0] / (1 - KB))
        redness = redness * (self.chroma_range[1] / (1 - KR))
        return torch.stack([y, blueness, redness], dim=1)


class YCbCr(Yuv):
    """Y, Cb and Cr of JPEG files (JFIF, full-range BT.601): Cb and Cr in ±0.5, centered on 0.

    `decode` is inherited from YUV: kornia's `ycbcr_to_rgb` clips, which stops gradients.
    """

    chroma_range: ClassVar[tuple[float, ...]] = (0.5, 0.5)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        y, blueness, redness = kornia.color.rgb_to_ycbcr(rgb_B3HW).unbind(1)
        # kornia's three-digit scales are off by up to 3.0e-4.
        return self._native(y, (blueness - 0.5) / 0.564, (redness - 0.5) / 0.713)
