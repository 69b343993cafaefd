"""sRGB (IEC 61966-2-1): its transfer curve, and its primaries as CIE XYZ under D65.

The constants are those of scikit-image and kornia, so that figures agree with theirs.
"""

import torch
from torch import Tensor

from irodori.color.planes import Matrix, Planes, inverse, join, mix, split

XYZ_FROM_LINEAR_RGB: Matrix = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
LINEAR_RGB_FROM_XYZ = inverse(XYZ_FROM_LINEAR_RGB)
D65_WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of the white point D65 for the CIE 2° observer."""


def linear_from_srgb(rgb: Tensor) -> Tensor:
    """Return linear light in [0, 1] for sRGB in [0, 1], of any shape."""
    # Each branch of `where` has to have a finite gradient everywhere, or the sum has none.
    curved = ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(rgb > 0.04045, curved, rgb / 12.92)


def srgb_from_linear(linear: Tensor) -> Tensor:
    """Return sRGB for linear light, of any shape; negative light goes on along the line at 0."""
    curved = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curved, 12.92 * linear)


def xyz_from_srgb(rgb_B3HW: Tensor) -> Planes:
    """Return the planes X, Y and Z (Y of white is 1) of an sRGB picture."""
    return mix(XYZ_FROM_LINEAR_RGB, split(linear_from_srgb(rgb_B3HW)))


def srgb_from_xyz(xyz: Planes) -> Tensor:
    """Return the sRGB picture B×3×H×W of the planes X, Y and Z, not clipped."""
    return srgb_from_linear(join(mix(LINEAR_RGB_FROM_XYZ, xyz)))
