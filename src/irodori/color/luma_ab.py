"""CIE a*b* beside BT.601 luma: what the paper's published network predicts, and what it sees.

Lightness isn't given, and follows: it is the L* with which a* and b* have the luma. There is no
formula for it, so it is searched.
"""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lab import ROOT_OF_THRESHOLD, SLOPE, Lab, inverse_curve
from irodori.color.luma import luma
from irodori.color.planes import Planes, join, mix
from irodori.color.srgb import D65_WHITE, LINE, LINEAR_RGB_FROM_XYZ, srgb_from_linear

DARKEST, LIGHTEST = -120.0, 150.0
"""L* with which every a* and b* in ±110 has a luma of 0, and of at least 1."""
STEPS = 4
"""Of Newton's method for every pixel."""
HALVINGS = 60
"""Of the range from DARKEST to LIGHTEST, where those don't suffice."""
FLATTEST = 1e-3
"""Slope of luma by L* below which a step isn't divided by it; that of grays is about 0.01."""


class LumaAb(Lab):
    """BT.601 luma of sRGB, and CIE a* and b* scaled by ±100.

    The scale is that of the published network (a* and b* are 200·output - 100), which doesn't hold
    all of sRGB: b* reaches -107.9, so the chroma that `encode` gives reaches -0.04.

    `decode` gives the colour with the luma and these a* and b*. Where it has less than no light in
    a channel (a colour outside of sRGB), it is the luma of what is shown, with that channel at 0,
    that is right; more than full light in one isn't seen to. Unlike `Lab` it lets Z below 0.
    """

    name: ClassVar[str] = "luma_ab"
    luminance_range: ClassVar[float] = 1.0
    chroma_range: ClassVar[tuple[float, ...]] = (100.0, 100.0)

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        _, a, b = super()._from_rgb(rgb_B3HW)
        return luma(rgb_B3HW).squeeze(1), a, b

    def _luminance(self, rgb_B3HW: Tensor) -> Tensor:
        return luma(rgb_B3HW)

    def _to_linear(self, native: Planes) -> Tensor:
        y, a, b = native
        with torch.no_grad():
            lightness, slope = _lightness(y, a, b)
        # One step more of Newton's, by which gradients find their way to y, a* and b*.
        lightness = lightness - (_luma(_light(lightness, a, b)) - y) / slope
        return _light(lightness, a, b)


def _lightness(y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """L* with which a* and b* have the luma y, and the slope of luma by L* there: B×H×W each."""
    # About that of a gray.
    lightness = 100 * y
    for _ in range(STEPS):
        found, slope = _luma_and_slope(lightness, a, b)
        lightness = (lightness - (found - y) / slope).clamp(DARKEST, LIGHTEST)
    found, slope = _luma_and_slope(lightness, a, b)
    # Where a channel begins, luma bends, and Newton's steps may go to and fro. Such pixels are few.
    far = (found - y).abs() > 8 * torch.finfo(y.dtype).eps
    if y.device.type != "meta" and far.any():
        lightness[far] = _halved(y[far], a[far], b[far])
        slope = _luma_and_slope(lightness, a, b)[1]
    return lightness, slope


def _halved(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """L* with which a* and b* have the luma y, by halving what remains: N each."""
    # As one picture of N pixels.
    y, a, b = (plane[None, None] for plane in (y, a, b))
    low, high = torch.full_like(y, DARKEST), torch.full_like(y, LIGHTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _luma(_light(middle, a, b)) > y
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return ((low + high) / 2)[0, 0]


def _light(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Linear light B×3×H×W of L*, a* and b*, each B×H×W."""
    x, y, z = (
        inverse_curve(root) * white
        for root, white in zip(_roots(lightness, a, b), D65_WHITE, strict=True)
    )
    return join(mix(LINEAR_RGB_FROM_XYZ, (x, y, z)))


def _roots(lightness: Tensor, a: Tensor, b: Tensor) -> Planes:
    y = (lightness + 16) / 116
    return y + a / 500, y, y - b / 200


def _luma(light_B3HW: Tensor) -> Tensor:
    """Luma B×H×W of linear light as it is shown, with none below 0."""
    return luma(srgb_from_linear(light_B3HW.clamp(min=0))).squeeze(1)


def _luma_and_slope(lightness: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """`_luma` of L*, a* and b*, and how fast it rises with L*, at least `FLATTEST`: B×H×W."""
    light_B3HW = _light(lightness, a, b)
    x, y, z = (
        torch.where(root > ROOT_OF_THRESHOLD, 3 * root.square(), 1 / SLOPE) * (white / 116)
        for root, white in zip(_roots(lightness, a, b), D65_WHITE, strict=True)
    )
    shown_B3HW = srgb_from_linear(light_B3HW.clamp(min=0))
    by_light_B3HW = torch.where(
        light_B3HW > LINE, (shown_B3HW + 0.055) / (2.4 * light_B3HW), 12.92 * (light_B3HW > 0)
    )
    slopes_B3HW = by_light_B3HW * join(mix(LINEAR_RGB_FROM_XYZ, (x, y, z)))
    return luma(shown_B3HW).squeeze(1), luma(slopes_B3HW).squeeze(1).clamp(min=FLATTEST)
