"""Gamut mapping: desaturate out-of-gamut colors at constant luminance."""

import torch
from torch import Tensor

from irodori.color import ColorSpace

STEPS = 12
"""Number of bisection steps of the saturation, to a precision of 1/4096."""
TOLERANCE = 1 / 1024
"""Distance outside [0,1] that is treated as a rounding error and clipped."""


def into_gamut(space: ColorSpace, luminance_B1HW: Tensor, chroma_BCHW: Tensor) -> Tensor:
    """Join luminance and chrominance to in-gamut sRGB.

    Clipping would change luminance and hue. Instead, colors outside of sRGB are moved toward gray
    of the same luminance, as little as necessary (by bisection).

    Args:
        space: color space of luminance and chrominance.
        luminance_B1HW: luminance in [0,1].
        chroma_BCHW: chrominance of the same size, in any range.

    Returns:
        sRGB B×3×H×W fp32 in [0,1].
    """
    rgb_B3HW = space.decode(luminance_B1HW, chroma_BCHW)
    outside_BHW = (rgb_B3HW - 0.5).abs_().amax(1) > 0.5 + TOLERANCE
    picture_N, row_N, column_N = outside_BHW.nonzero(as_tuple=True)
    if len(row_N):
        luminance_11N = luminance_B1HW.movedim(1, 0)[:, picture_N, row_N, column_N][None, :, None]
        chroma_1CN = chroma_BCHW.movedim(1, 0)[:, picture_N, row_N, column_N][None, :, None]
        gray_1CN = space.gray_chroma(luminance_11N)
        share_11N = torch.zeros_like(luminance_11N)
        for step in range(1, STEPS + 1):
            more_11N = share_11N + 0.5**step
            paler_1CN = torch.lerp(gray_1CN, chroma_1CN, more_11N)
            tried_13N = space.decode(luminance_11N, paler_1CN)
            fits = (tried_13N - 0.5).abs_().amax(1, keepdim=True) <= 0.5 + TOLERANCE
            share_11N.add_(fits.to(share_11N), alpha=0.5**step)
        fitting = space.decode(luminance_11N, torch.lerp(gray_1CN, chroma_1CN, share_11N))
        rgb_B3HW.movedim(1, 0)[:, picture_N, row_N, column_N] = fitting[0, :, 0]
    return rgb_B3HW.clamp_(0, 1)
