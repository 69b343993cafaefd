"""Propagation of hints without a network: *Colorization using optimization*, Levin et al., 2004.

Neighbors of similar luminance get similar colors.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

Floats = NDArray[np.float64]
OFFSETS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
"""Offsets of a pixel's neighbors in its 3×3 window."""
VARIANCE_SHARE, WEAKEST, SMALLEST = 0.6, 0.01, 2e-6
"""The authors' program divides squared differences of luminance by 0.6 of the window's variance, or
by more, so that the nearest neighbor has a weight of at least 0.01; at least by 2e-6."""


def neighbor_weights(luminance_HW: Floats) -> sparse.csr_array:
    """Return the N×N weights of neighbors, N = H·W, with a sum of 1 in each row."""
    height, width = luminance_HW.shape
    padded = np.pad(luminance_HW, 1, constant_values=np.nan)
    numbers = np.pad(np.arange(height * width).reshape(height, width), 1, constant_values=-1)
    shifted = [slice(1 + y, 1 + y + height) for y, _ in OFFSETS]
    across = [slice(1 + x, 1 + x + width) for _, x in OFFSETS]
    near_8HW = np.array([padded[window] for window in zip(shifted, across, strict=True)])
    to_8HW = np.array([numbers[window] for window in zip(shifted, across, strict=True)])
    variance_HW = np.nanvar(np.concatenate([near_8HW, luminance_HW[None]]), 0)
    squared_8HW = (near_8HW - luminance_HW) ** 2
    scale_HW = np.maximum(
        VARIANCE_SHARE * variance_HW, -np.nanmin(squared_8HW, 0) / np.log(WEAKEST)
    )
    weights_8HW = np.exp(-squared_8HW / np.maximum(scale_HW, SMALLEST))
    weights_8HW /= np.nansum(weights_8HW, 0)
    there = to_8HW >= 0
    from_8HW = np.broadcast_to(numbers[1:-1, 1:-1], to_8HW.shape)
    entries = (weights_8HW[there], (from_8HW[there], to_8HW[there]))
    return sparse.csr_array(entries, shape=(height * width, height * width))


def spread(luminance_HW: Floats, colors_HWC: Floats, given_HW: NDArray[np.bool_]) -> Floats:
    """Return colors, H×W×C: given ones, and elsewhere the weighted mean of the neighbors.

    Args:
        luminance_HW: in [0, 1].
        colors_HWC: given colors; other values are ignored.
        given_HW: mask of given colors, at least one.
    """
    given_N = given_HW.ravel()
    free = sparse.diags_array((~given_N).astype(float))
    equations = sparse.eye_array(len(given_N)) - free @ neighbor_weights(luminance_HW)
    colors_NC = np.where(given_N[:, None], colors_HWC.reshape(len(given_N), -1), 0)
    # Nearly symmetric pattern and dominant diagonal: no pivoting.
    solver = splu(
        equations.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    solved: Floats = solver.solve(colors_NC).reshape(colors_HWC.shape)
    return solved
