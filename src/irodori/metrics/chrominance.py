"""Chrominance error: how far the colours are off, whatever the lightness."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from irodori.color import rgb_to_lab, to_float


def ab_of(rgb_3HW: Tensor) -> Tensor:
    """CIE a*b* (D65) of an 8-bit RGB picture: 3×H×W uint8 → 2×H×W fp32 in native units."""
    return rgb_to_lab(to_float(rgb_3HW)[None])[0, 1:]


def chroma_rmse(predicted_3HW: Tensor, true_3HW: Tensor) -> Tensor:
    """Root of the mean over pixels and the two channels of the squared ab error, in ab units.

    Both pictures are 8-bit RGB (3×H×W uint8) of the same size.

    Raises:
        ValueError: the sizes differ.
    """
    if predicted_3HW.shape != true_3HW.shape:
        raise ValueError(f"{tuple(predicted_3HW.shape)} against {tuple(true_3HW.shape)}")
    return (ab_of(predicted_3HW) - ab_of(true_3HW)).square().mean().sqrt()


def mean_ab(rgb_3HW: Tensor) -> Tensor:
    """Mean a* and b* over the pixels of an 8-bit RGB picture: 2 values, fp32."""
    return ab_of(rgb_3HW).mean((1, 2))


class ChrominanceRMSE(Metric):
    """Mean over photographs of `chroma_rmse`, in all and per scene, by sums and counts.

    Args:
        num_classes: number of scenes; photographs of class −1 count in the overall figure only.
    """

    full_state_update = False
    higher_is_better = False
    sums: Tensor
    counts: Tensor

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # float64, so that the order of the sums does not show; the last place is class −1.
        zeros = torch.zeros(num_classes + 1, dtype=torch.float64)
        self.add_state("sums", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("counts", zeros.clone(), dist_reduce_fx="sum")

    def update(self, predicted_3HW: Tensor, true_3HW: Tensor, label: int) -> None:
        """Add one photograph (3×H×W uint8 each).

        Raises:
            ValueError: the sizes differ, or the error is not a number.
        """
        error = chroma_rmse(predicted_3HW, true_3HW)
        if not torch.isfinite(error):
            raise ValueError("the chrominance error is not a finite number")
        self.sums[label] += error.double()
        self.counts[label] += 1

    def compute(self) -> Tensor:
        """The mean over all photographs (NaN without any)."""
        return self.sums.sum() / self.counts.sum()

    def per_scene(self) -> tuple[Tensor, Tensor]:
        """Mean per scene (NaN where there is none) and number of photographs per scene.

        Call it inside `sync_context()` when several ranks have photographs.
        """
        return self.sums[:-1] / self.counts[:-1], self.counts[:-1]
