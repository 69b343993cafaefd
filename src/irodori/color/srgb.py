"""sRGB (IEC 61966-2-1): its transfer curve, and its primaries as CIE XYZ under D65.

The constants are those of scikit-image and kornia, so that figures agree with theirs.
"""

import torch
from torch import Tensor
from torch.nn import functional

from irodori.color.planes import Matrix, Planes, inverse, mix, power_, split

XYZ_FROM_LINEAR_RGB: Matrix = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
LINEAR_RGB_FROM_XYZ = inverse(XYZ_FROM_LINEAR_RGB)
D65_WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of the white point D65 for the CIE 2° observer."""
KNEE = 0.04045
"""sRGB up to which its curve is a line, as IEC 61966-2-1 rounds it."""
LINE = 0.0031308
"""Linear light up to which it is."""


def linear_from_srgb(rgb: Tensor) -> Tensor:
    """Return linear light in [0, 1] for sRGB in [0, 1], of any shape."""
    # Up to the knee the power is one of next to nothing, which is 0, and so is its gradient.
    base = functional.threshold(rgb, KNEE, -0.055).add_(0.055).div_(1.055).clamp_(min=1e-30)
    return power_(base, 2.4).add(rgb - functional.threshold(rgb, KNEE, 0), alpha=1 / 12.92)


def srgb_from_linear(linear: Tensor) -> Tensor:
    """Return sRGB for linear light, of any shape; negative light goes on along the line at 0."""
    curved = (1.055 * power_(linear.clamp(min=LINE), 1 / 2.4)).sub_(0.055)
    # The line lies above the curve beyond the point where they meet, and below it before.
    return torch.minimum(curved, 12.92 * linear)


def xyz_from_srgb(rgb_B3HW: Tensor) -> Planes:
    """Return the planes X, Y and Z (Y of white is 1) of an sRGB picture."""
    return mix(XYZ_FROM_LINEAR_RGB, split(linear_from_srgb(rgb_B3HW)))
