"""Turning pictures upright."""

import numpy as np


def upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """A picture as it is meant to be seen.

    Args:
        picture: H×W or H×W×C, as stored.
        orientation: 1 to 8, where the stored rows and columns lie (EXIF 2.32, tag 0x0112).

    Returns:
        The same, or W×H and W×H×C from 5 on; contiguous.
    """
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)
