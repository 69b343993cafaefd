"""Simulation of hints from photographs' true colors, for training."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irodori.config.ranges import Range
from irodori.data.augment import SEEDS

MAX_HINTS = 50
MAX_SIDE = 9


class SimulatedHints:
    """Simulates a person's hints: a few small squares of true colors.

    Follows Zhang et al., "Real-Time User-Guided Image Colorization with Learned Deep Priors"
    (SIGGRAPH 2017): the number of squares has a geometric distribution, their sides are 1 to 9
    pixels, and each has the mean of its true colors. Here their positions are uniformly
    distributed, and there are at most 50.

    Args:
        mean_count: mean number of hints per photograph.
        every: one in `every` photographs of a micro-batch has hints. Fewer suffice to learn how
            hints spread, and save time.
    """

    def __init__(
        self,
        mean_count: Annotated[float, Range(min=1, max=MAX_HINTS)] = 8.0,
        every: Annotated[int, Range(min=1)] = 4,
    ) -> None:
        self.mean_count = mean_count
        self.every = every

    def __call__(self, chroma_BCHW: Tensor, draws_B: Tensor) -> Tensor:
        """Return the hints of a batch, B×(C+1)×H×W; see `irodori.network.hints.HintSpread`.

        Args:
            chroma_BCHW: true chrominance in [0,1].
            draws_B: random numbers in [0,1) on the CPU, which determine the hints.
        """
        batch, channels, height, width = chroma_BCHW.shape
        # The square that each pixel belongs to, 0 for none; drawn on the CPU for a single transfer.
        squares_BHW = np.zeros((batch, height, width), np.uint8)
        for squares_HW, draw in zip(squares_BHW, draws_B.numpy().tolist(), strict=True):
            self._draw(squares_HW, np.random.default_rng(int(draw * SEEDS)))
        squares_BP = torch.from_numpy(squares_BHW).flatten(1)
        squares_BP = squares_BP.to(chroma_BCHW.device, non_blocking=True).long()
        ones_B1P = torch.ones_like(squares_BP, dtype=chroma_BCHW.dtype)[:, None]
        values_BMP = torch.cat([chroma_BCHW.flatten(2), ones_B1P], 1)
        index_BMP = squares_BP[:, None].expand(-1, channels + 1, -1)
        sums_BMS = values_BMP.new_zeros(batch, channels + 1, MAX_HINTS + 1)
        sums_BMS.scatter_add_(2, index_BMP, values_BMP)
        means_BMS = sums_BMS / sums_BMS[:, -1:].clamp(min=1)
        means_BMS[..., 0] = 0
        hints_BMHW: Tensor = means_BMS.gather(2, index_BMP).unflatten(2, (height, width))
        return hints_BMHW

    def _draw(self, squares_HW: NDArray[np.uint8], generator: np.random.Generator) -> None:
        """Label the pixels of a photograph's squares with 1, 2, …."""
        height, width = squares_HW.shape
        for number in range(min(int(generator.geometric(1 / self.mean_count)), MAX_HINTS)):
            side = int(generator.integers(1, MAX_SIDE + 1))
            top, left = (
                int(generator.integers(0, max(1, size - side + 1))) for size in (height, width)
            )
            squares_HW[top : top + side, left : left + side] = number + 1
