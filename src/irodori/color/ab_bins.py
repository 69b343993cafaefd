"""A grid over the a*b* plane: bins of 10×10 ab units, and which of them hold sRGB colors."""

from functools import cache

import torch
from torch import Tensor

from irodori.color.lab import rgb_to_lab

STEP = 10
"""Width of a bin in ab units."""
FARTHEST = 110
"""Center of the last bin along an axis; that of the first is −110."""
BINS = 2 * FARTHEST // STEP + 1
"""Bins along each axis: 23."""


def bins_of(ab_2HW: Tensor) -> Tensor:
    """Return the number of each pixel's bin: 2×H×W → H×W int64 in 0…528.

    Bins are numbered row by row, rows by a* and columns by b*, both rising. An edge belongs to the
    bin above it, and what lies beyond ±115 (no sRGB color does) counts in the outermost bins.
    """
    indices = ((ab_2HW + FARTHEST) / STEP + 0.5).floor().clamp(0, BINS - 1).long()
    return indices[0] * BINS + indices[1]


@cache
def in_gamut() -> Tensor:
    """Return the numbers of the bins that hold an 8-bit sRGB color, rising: Q int64, Q = 261.

    (Zhang 2016 counts 313: theirs reach a little beyond sRGB.)
    """
    level = torch.arange(256, dtype=torch.float64) / 255
    first, second = (plane.flatten() for plane in torch.meshgrid(level, level, indexing="ij"))
    # A color that gets lighter with its a*b* unchanged ends on a face of the cube.
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
    """Return a* and b* of the centers of the bins in gamut: Q×2, float64."""
    numbers = in_gamut()
    return (torch.stack([numbers // BINS, numbers % BINS], 1) * STEP - FARTHEST).double()
