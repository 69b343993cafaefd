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
STEPS = 4
"""Steps of Newton's method for every pixel."""
HALVINGS = 60
"""Halvings of the range from DARKEST to LIGHTEST, for the pixels where those don't suffice."""
FLATTEST = 1e-3
"""Slope of luma by L* below which a step isn't divided by it; that of grays is about 0.01."""


class LumaAb(ColorSpace):
    """BT.601 luma of sRGB, and CIE a* and b* scaled by ±100.

    The scale is that of the published network (a* and b* are 200·output - 100), which doesn't hold
    all of sRGB: b* reaches -107.9, so the chroma that `encode` gives reaches -0.04.

    `decode` gives the color with the luma and these a* and b*. Where a channel has negative light
    (a color outside of sRGB), the luma is that of the picture that is shown, with the channel at 0;
    more than full light in a channel isn't considered. Unlike `Lab` it lets Z below 0.
    """

    chroma_range: ClassVar[tuple[float, ...]] = (100.0, 100.0)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        """See `ColorSpace`."""
        ab_B2HW = kornia.color.rgb_to_lab(rgb_B3HW)[:, 1:]
        return torch.cat([kornia.color.rgb_to_y(rgb_B3HW), ab_B2HW], dim=1)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        """See `ColorSpace`."""
        y, a, b = native_BDHW.unbind(1)
        with torch.no_grad():
            lightness = _lightness(y, a, b)
            _, slope = _luma_and_slope(lightness, a, b)
        # One more step of Newton's method, through which gradients reach y, a* and b*.
        lightness = lightness - (_luma_and_slope(lightness, a, b)[0] - y) / slope
        return kornia.color.linear_rgb_to_rgb(_light_and_slope(lightness, a, b)[0])


def _lightness(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the L* with which a* and b* have the luma y: B×H×W each."""
    lightness = 100 * y  # about that of a gray
    for _ in range(STEPS):
        found, slope = _luma_and_slope(lightness, a, b)
        lightness = (lightness - (found - y) / slope).clamp(DARKEST, LIGHTEST)
    # Where a channel begins, luma bends, and Newton's steps may go to and fro. Such pixels are few.
    far = (_luma_and_slope(lightness, a, b)[0] - y).abs() > 8 * torch.finfo(y.dtype).eps
    if y.device.type != "meta" and far.any():
        y, a, b = (plane[far][None, None] for plane in (y, a, b))
        low, high = torch.full_like(y, DARKEST), torch.full_like(y, LIGHTEST)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = _luma_and_slope(middle, a, b)[0] > y
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        lightness[far] = ((low + high) / 2)[0, 0]
    return lightness


def _luma_and_slope(lightness: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the luma that L*, a* and b* are shown with, and how fast it rises with L*.

    Negative light is shown as 0. All are B×H×W; the slope is at least `FLATTEST`.
    """
    light_B3HW, slope_B3HW = _light_and_slope(lightness, a, b)
    shown_B3HW = kornia.color.linear_rgb_to_rgb(light_B3HW.clamp(min=0))
    # The derivative of sRGB's curve and of its line.
    curve_B3HW = torch.where(
        light_B3HW > 0.0031308, (shown_B3HW + 0.055) / (2.4 * light_B3HW), 12.92 * (light_B3HW > 0)
    )
    slope_B1HW = kornia.color.rgb_to_y(curve_B3HW * slope_B3HW).clamp(min=FLATTEST)
    return kornia.color.rgb_to_y(shown_B3HW).squeeze(1), slope_B1HW.squeeze(1)


def _light_and_slope(lightness: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return linear light B×3×H×W of L*, a* and b* (B×H×W), and its derivative by L*.

    kornia's `lab_to_rgb` keeps Z above 0, so that dark yellows would never have a luma of 0.
    """
    y = (lightness + 16) / 116
    roots = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    white = roots.new_tensor(D65_WHITE)[:, None, None]
    cubic = roots > 6 / 29
    xyz = white * torch.where(cubic, roots**3, (roots - 4 / 29) / 7.787)
    slope = white / 116 * torch.where(cubic, 3 * roots**2, 1 / 7.787)
    return kornia.color.xyz_to_rgb(xyz), kornia.color.xyz_to_rgb(slope)
