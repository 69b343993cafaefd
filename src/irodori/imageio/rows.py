"""Pictures too large for memory, whose rows are computed on demand."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Rows:
    """Pixels whose rows are computed by `make(top, bottom)`; sliced by rows like an array.

    Args:
        height: number of rows.
        make: returns rows of a picture, H×W or H×W×C; called for `step` rows, or fewer at the end.
        step: number of rows computed at a time, and cached until others are requested.
    """

    def __init__(self, height: int, make: Callable[[int, int], np.ndarray], step: int) -> None:
        self.step, self._make = step, make
        self._kept = 0, make(0, min(step, height))
        self.shape, self.dtype = (height, *self._kept[1].shape[1:]), self._kept[1].dtype
        self.ndim = len(self.shape)

    def __getitem__(self, rows: slice) -> np.ndarray:
        top, bottom, _ = rows.indices(self.shape[0])
        firsts = range(top // self.step * self.step, bottom, self.step)
        parts = [self._part(first)[max(top - first, 0) : bottom - first] for first in firsts]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _part(self, first: int) -> np.ndarray:
        if self._kept[0] != first:
            self._kept = -1, np.empty(0)  # frees memory before the next one
            self._kept = first, self._make(first, min(first + self.step, self.shape[0]))
        return self._kept[1]


def is_rows(pixels: object) -> bool:
    """Return whether pixels are `Rows`, which replace arrays for very large photos."""
    return isinstance(pixels, Rows)


def by_rows(function: Callable[..., np.ndarray], pixels: Any, *others: Any) -> Any:
    """Apply a row-wise function to pictures; returns Rows if the first is Rows."""
    if not isinstance(pixels, Rows):
        return function(pixels, *others)
    pictures = pixels, *others

    def make(top: int, bottom: int) -> np.ndarray:
        return function(*(picture[top:bottom] for picture in pictures))

    return Rows(pixels.shape[0], make, pixels.step)
