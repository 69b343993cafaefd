"""BT.601 luma and CIE a*b*: input and output of the paper's published network.

Decoding needs the L* for which L*, a* and b* have the given luma. It has no closed form and is
found by a numerical search.
"""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.space import ColorSpace

D65_WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of the white point D65 (2° observer), with kornia's digits."""
DARKEST, LIGHTEST = -120.0, 150.0
"""Bounds of L*: for all a* and b* in ±110, luma is 0 at the lower and at least 1 at the upper
one."""
STEPS = 18
"""Steps of the search: 16 reach the precision of fp32, 20 that of float64."""
FLATTEST = 1e-3
"""Smallest slope of luma over L* that gradients are divided by; it is about 0.01 for grays."""


class LumaAb(ColorSpace):
    """BT.601 luma of sRGB, and CIE a* and b* scaled by ±100.

    The scale is that of the published network (a* and b* are 200·output - 100), which doesn't cover
    all of sRGB: b* reaches -107.9, so `encode` returns chroma down to -0.04. For colors outside of
    sRGB, `decode` matches the luma that results from clipping negative light to 0.
    """

    chroma_range: ClassVar[tuple[float, ...]] = (100.0, 100.0)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        ab_B2HW = kornia.color.rgb_to_lab(rgb_B3HW)[:, 1:]
        return torch.cat([kornia.color.rgb_to_y(rgb_B3HW), ab_B2HW], dim=1)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        y, a, b = native_BDHW.unbind(1)
        with torch.no_grad():
            lightness = _lightness(y, a, b)
        if torch.is_grad_enabled() and native_BDHW.requires_grad:
            # A step of Newton's method passes gradients to y, a* and b*.
            at = lightness.clone().requires_grad_()
            (slope,) = torch.autograd.grad(_shown_luma(at, a.detach(), b.detach()).sum(), at)
            error = _shown_luma(lightness, a, b) - y
            lightness = lightness - error / slope.clamp(min=FLATTEST)
        return kornia.color.linear_rgb_to_rgb(_light(lightness, a, b))


def _lightness(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the L* for which L*, a* and b* have the luma y: B×H×W each.

    Uses the bracketing secant method of Anderson and Björck (1973).
    """
    low, high = torch.full_like(y, DARKEST), torch.full_like(y, LIGHTEST)
    too_little, too_much = -y, _shown_luma(high, a, b) - y
    lightness = 100 * y  # close to that of a gray
    was_above = torch.zeros_like(y, dtype=torch.bool)
    for step in range(STEPS):
        error = _shown_luma(lightness, a, b) - y
        above = error > 0
        share = 1 - error / torch.where(above, too_much, too_little)
        share = torch.where((share > 0) & (share < 1), share, 0.5)
        share = torch.where((above == was_above) & (step > 0), share, 1.0)
        low, high = torch.where(above, low, lightness), torch.where(above, lightness, high)
        too_little = torch.where(above, too_little * share, error)
        too_much = torch.where(above, error, too_much * share)
        lightness = (low * too_much - high * too_little) / (too_much - too_little)
        was_above = above
    return lightness


def _shown_luma(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the luma B×H×W of L*, a* and b* with negative light clipped to 0."""
    shown_B3HW = kornia.color.linear_rgb_to_rgb(_light(lightness, a, b).clamp(min=0))
    luma_B1HW: Tensor = kornia.color.rgb_to_y(shown_B3HW)
    return luma_B1HW.squeeze(1)


def _light(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the linear RGB, B×3×H×W, of L*, a* and b* (B×H×W each).

    Unlike kornia's `lab_to_rgb`, it allows negative Z, so that dark yellows can reach a luma of 0.
    """
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    white = torch.tensor(D65_WHITE, dtype=roots.dtype, device=roots.device)[:, None, None]
    return kornia.color.xyz_to_rgb(
        white * torch.where(roots > 6 / 29, roots**3, (roots - 4 / 29) / 7.787)
    )
