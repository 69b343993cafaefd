"""A grid of 10×10 bins over the a*b* plane, and the bins that contain sRGB colors."""

from functools import cache

import torch
from torch import Tensor

from irodori.color.lab import rgb_to_lab

STEP = 10
"""Width of a bin in ab units."""
FARTHEST = 110
"""Center of the last bin along an axis; the first is at −110."""
BINS = 2 * FARTHEST // STEP + 1
"""Number of bins along each axis: 23."""


def bins_of(ab_2HW: Tensor) -> Tensor:
    """Return the bin index of each pixel: 2×H×W → H×W int64 in 0…528.

    Bins are numbered row by row, with rows along a* and columns along b*, both ascending. An edge
    belongs to the bin above it. Values beyond ±115, which no sRGB color reaches, fall into the
    outermost bins.
    """
    indices = ((ab_2HW + FARTHEST) / STEP + 0.5).floor().clamp(0, BINS - 1).long()
    return indices[0] * BINS + indices[1]


@cache
def in_gamut() -> Tensor:
    """Return the indices of the bins that contain an 8-bit sRGB color, ascending: Q=261, int64.

    (Zhang et al. 2016 use 313 bins, which extend slightly beyond sRGB.)
    """
    level = torch.arange(256, dtype=torch.float64) / 255
    first, second = (plane.flatten() for plane in torch.meshgrid(level, level, indexing="ij"))
    # Increasing a color's lightness at constant a*b* ends on a face of the RGB cube.
    faces = [
        torch.stack([*pair[:axis], torch.full_like(first, end), *pair[axis:]])
        for pair in [(first, second)]
        for axis in range(3)
        for end in (0.0, 1.0)
    ]
    lab_131N = rgb_to_lab(torch.cat(faces, 1)[None, :, None])
    numbers: Tensor = bins_of(lab_131N[0, 1:]).unique()
    return numbers


def centers() -> Tensor:
    """Return a* and b* of the centers of the in-gamut bins: Q×2, float64."""
    numbers = in_gamut()
    return (torch.stack([numbers // BINS, numbers % BINS], 1) * STEP - FARTHEST).double()
