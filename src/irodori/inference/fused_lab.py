"""CIE L*a*b* for full-size photos: kornia's conversions with fewer passes over memory.

They reduce the time of `irodori colorize` for 18 photos of twelve megapixels from 43 s to 29 s (two
AVX2 cores). They work in fp32, in place, and are not differentiable.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irodori.color import Lab
from irodori.color.lab import THRESHOLD

XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
"""Matrix from linear RGB to XYZ under D65, with kornia's digits."""
WHITE = np.array([0.95047, 1.0, 1.08883])
LINEAR_FROM_SHARES = (np.linalg.inv(XYZ_FROM_RGB) * WHITE).tolist()
"""Matrix from X, Y and Z, relative to white, to linear RGB."""
SLOPE, OFFSET, ROOT_OF_THRESHOLD = 7.787, 4 / 29, 0.2068966
KNEE, LINE = 0.04045, 0.0031308


class FusedLab(Lab):
    """`Lab`, faster on a CPU, for inference only."""

    def luminance(self, rgb_B3HW: Tensor) -> Tensor:
        """Return L* / 100, B×1×H×W fp32; see `ColorSpace`."""
        light = _weighted(XYZ_FROM_RGB[1].tolist(), *map(_linear, rgb_B3HW.float().unbind(1)))
        root = _power_(light.clamp(min=THRESHOLD), 1 / 3)
        line = _up_to(THRESHOLD, (THRESHOLD ** (1 / 3) - OFFSET) / SLOPE, light)
        return root.add_(line, alpha=SLOPE).mul_(1.16).sub_(0.16).unsqueeze(1)

    def decode(self, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        """Return sRGB B×3×H×W fp32, not clipped; see `ColorSpace`."""
        y = luminance_B1HW.float().squeeze(1).mul(100 / 116).add_(16 / 116)
        a, b = (
            (plane.float() - 0.5).mul_(2 * half_range)
            for plane, half_range in zip(chroma_BCHW.unbind(1), self.chroma_range, strict=True)
        )
        roots = y.add(a, alpha=1 / 500), y, y.sub(b, alpha=1 / 200).clamp_(min=0)
        shares = [_cube(root) for root in roots]
        return torch.stack([_encoded(_weighted(row, *shares)) for row in LINEAR_FROM_SHARES], dim=1)


def _weighted(weights: list[float], first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    return (first * weights[0]).add_(second, alpha=weights[1]).add_(third, alpha=weights[2])


def _power_(values: Tensor, exponent: float) -> Tensor:
    """Raise positive values to a power in place, in less than half the time of torch's `pow`."""
    return values.log2_().mul_(exponent).exp2_()


def _up_to(limit: float, zero: float, values: Tensor) -> Tensor:
    """Return values − zero up to a limit, and 0 above it."""
    return values - functional.threshold(values, limit, zero)


def _linear(srgb: Tensor) -> Tensor:
    # Below the knee, the power of a tiny number is 0.
    base = functional.threshold(srgb, KNEE, -0.055).add_(0.055).div_(1.055).clamp_(min=1e-30)
    return _power_(base, 2.4).add_(srgb - functional.threshold(srgb, KNEE, 0), alpha=1 / 12.92)


def _cube(root: Tensor) -> Tensor:
    cube = root.clamp(min=ROOT_OF_THRESHOLD) ** 3
    zero = OFFSET + SLOPE * ROOT_OF_THRESHOLD**3
    return cube.add_(_up_to(ROOT_OF_THRESHOLD, zero, root), alpha=1 / SLOPE)


def _encoded(light: Tensor) -> Tensor:
    curved = _power_(light.clamp(min=LINE), 1 / 2.4).mul_(1.055).sub_(0.055)
    # The line is below the curve before their intersection, and above it after.
    return torch.minimum(curved, 12.92 * light)
