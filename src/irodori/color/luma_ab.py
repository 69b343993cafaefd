"""CIE a*b* beside BT.601 luma: what the paper's published network predicts, and what it sees.

Lightness isn't given, and follows: it is the L* with which a* and b* have the luma. There is no
formula for it, so it is searched.
"""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.space import ColorSpace

D65_WHITE = (0.95047, 1.0, 1.08883)
"""XYZ of the white point D65 for the CIE 2° observer, as kornia has it."""
DARKEST, LIGHTEST = -120.0, 150.0
"""L* with which every a* and b* in ±110 has a luma of 0, and of at least 1."""
STEPS = 18
"""Steps of the search: 16 are exact to fp32's precision, 20 to that of float64."""
FLATTEST = 1e-3
"""Slope of luma by L* below which gradients aren't divided by it; that of grays is about 0.01."""


class LumaAb(ColorSpace):
    """BT.601 luma of sRGB, and CIE a* and b* scaled by ±100.

    The scale is that of the published network (a* and b* are 200·output - 100), which doesn't hold
    all of sRGB: b* reaches -107.9, so the chroma that `encode` gives reaches -0.04. Where a channel
    has negative light (a color outside of sRGB), `decode` keeps the luma of the picture that is
    shown, with the channel at 0.
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
            # A step of Newton's method, through which gradients reach y, a* and b*.
            at = lightness.clone().requires_grad_()
            (slope,) = torch.autograd.grad(_shown_luma(at, a.detach(), b.detach()).sum(), at)
            error = _shown_luma(lightness, a, b) - y
            lightness = lightness - error / slope.clamp(min=FLATTEST)
        return kornia.color.linear_rgb_to_rgb(_light(lightness, a, b))


def _lightness(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the L* with which a* and b* have the luma y: B×H×W each.

    By secants through both ends of the range, of which the value at an end that stays is lowered
    (Anderson and Björck, 1973).
    """
    low, high = torch.full_like(y, DARKEST), torch.full_like(y, LIGHTEST)
    too_little, too_much = -y, _shown_luma(high, a, b) - y
    lightness = 100 * y  # about that of a gray
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
    """Return the luma B×H×W that L*, a* and b* are shown with: negative light as 0."""
    shown_B3HW = kornia.color.linear_rgb_to_rgb(_light(lightness, a, b).clamp(min=0))
    luma_B1HW: Tensor = kornia.color.rgb_to_y(shown_B3HW)
    return luma_B1HW.squeeze(1)


def _light(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return linear light B×3×H×W of L*, a* and b* (B×H×W).

    kornia's `lab_to_rgb` keeps Z above 0, so that dark yellows would never have a luma of 0.
    """
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    white = torch.tensor(D65_WHITE, dtype=roots.dtype, device=roots.device)[:, None, None]
    return kornia.color.xyz_to_rgb(
        white * torch.where(roots > 6 / 29, roots**3, (roots - 4 / 29) / 7.787)
    )
