"""CIE L*a*b* (1976) under D65, the color space that performed best in the paper."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.precision import full_precision, to_full_precision
from irodori.color.space import ColorSpace

THRESHOLD = 0.008856
"""Y below which CIE's cube root becomes linear, with the digits of scikit-image and kornia."""


def rgb_to_lab(rgb_B3HW: Tensor) -> Tensor:
    """Convert sRGB to CIE L*a*b* in native units.

    Args:
        rgb_B3HW: sRGB in [0, 1], of any floating-point type.

    Returns:
        B×3×H×W: L* in [0, 100], a* in [-86.2, 98.3], b* in [-107.9, 94.5]; fp32 (or float64).

    Raises:
        TypeError, ValueError: the input has a wrong type or shape.
    """
    rgb_B3HW = to_full_precision(rgb_B3HW, "rgb_B3HW", 3)
    with full_precision(rgb_B3HW.device):
        return kornia.color.rgb_to_lab(rgb_B3HW)


class Lab(ColorSpace):
    """CIE L*a*b* of sRGB under D65 (2° observer)."""

    luminance_range: ClassVar[float] = 100.0
    # sRGB reaches a* = 98.25 and b* = -107.86.
    chroma_range: ClassVar[tuple[float, ...]] = (100.0, 110.0)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        return kornia.color.rgb_to_lab(rgb_B3HW)

    def luminance(self, rgb_B3HW: Tensor) -> Tensor:
        """Return L* / 100, B×1×H×W, in half the time of `encode`."""
        rgb_B3HW = to_full_precision(rgb_B3HW, "rgb_B3HW", 3)
        with full_precision(rgb_B3HW.device):
            y_B1HW = kornia.color.rgb_to_xyz(kornia.color.rgb_to_linear_rgb(rgb_B3HW))[:, 1:2]
            root_B1HW = y_B1HW.clamp(min=THRESHOLD) ** (1 / 3)
            root_B1HW = torch.where(y_B1HW > THRESHOLD, root_B1HW, 7.787 * y_B1HW + 4 / 29)
            return 1.16 * root_B1HW - 0.16

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        # For dark, saturated yellows the cube root of Z is clamped at 0.
        return kornia.color.lab_to_rgb(native_BDHW, clip=False)
