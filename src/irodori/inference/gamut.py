"""Colours that sRGB hasn't, made paler until it has them, at the same luminance."""

import torch
from torch import Tensor

from irodori.color import ColorSpace

STEPS = 12
"""Halvings of the range that the saturation is searched in: to 1/4096."""
TOLERANCE = 1 / 1024
"""So far outside [0,1] a value may lie: it is a rounding error, and clipped."""


def into_gamut(space: ColorSpace, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
    """Join luminance and chrominance to sRGB that needs no clipping.

    Clipping would change luminance and hue. Where a colour lies outside of sRGB, its distance to
    gray of the same luminance is shortened by as much as it takes (bisection).

    Args:
        space: that of luminance and chrominance.
        luminance_B1HW: in [0,1].
        chroma_BCHW: in any range, of the same size.

    Returns:
        sRGB B×3×H×W fp32 in [0,1].
    """
    rgb_B3HW = space.decode(luminance_B1HW, chroma_BCHW)
    outside_BHW = beyond(rgb_B3HW)
    if outside_BHW.any():
        luminance_11N = luminance_B1HW.movedim(1, 0)[:, outside_BHW][None, :, None]
        chroma_1CN = chroma_BCHW.movedim(1, 0)[:, outside_BHW][None, :, None]
        gray_1CN = space.gray_chroma(luminance_11N)
        away_1CN = chroma_1CN - gray_1CN
        low = torch.zeros_like(luminance_11N)
        high = torch.ones_like(luminance_11N)
        for _ in range(STEPS):
            middle = (low + high) / 2
            fits = ~beyond(space.decode(luminance_11N, gray_1CN + middle * away_1CN))[:, None]
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        fitting = space.decode(luminance_11N, gray_1CN + low * away_1CN)
        rgb_B3HW.movedim(1, 0)[:, outside_BHW] = fitting[0, :, 0]
    return rgb_B3HW.clamp_(0, 1)


def beyond(rgb_B3HW: Tensor) -> Tensor:
    """B×H×W bool: which colours sRGB hasn't."""
    return (rgb_B3HW.amin(1) < -TOLERANCE) | (rgb_B3HW.amax(1) > 1 + TOLERANCE)
