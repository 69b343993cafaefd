"""What every figure has in common that is measured of each photograph."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from irodori.metrics.pair import Pair


class PhotographMetric(Metric):
    """Mean over photographs of a figure, in all and per scene, by sums and counts.

    Ranks only add up their sums, so they may have any number of photographs, or none.

    Args:
        num_classes: number of scenes; photographs of class −1 count in the overall figure only.
        kwargs: of torchmetrics.
    """

    full_state_update = False
    name: ClassVar[str]
    """Of the figure: a key of `FIGURES`."""
    sums: Tensor
    counts: Tensor

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        # Its cache would outlive `add`, which torchmetrics knows nothing of.
        super().__init__(compute_with_cache=False, **kwargs)
        # float64, so that the order of the sums does not show; the last place is class −1.
        zeros = torch.zeros(num_classes + 1, dtype=torch.float64)
        self.add_state("sums", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("counts", zeros.clone(), dist_reduce_fx="sum")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers that `measure` gives, for tables of photographs."""
        return (self.name,)

    def add(self, value: Tensor, label: int = -1) -> None:
        """Count what `measure` gave for a photograph of a scene.

        Raises:
            ValueError: the value is not finite, or there is no such scene.
        """
        if not torch.isfinite(value).all():
            raise ValueError(f"{self.name} is not a finite number")
        if not -1 <= label < len(self.counts) - 1:
            raise ValueError(f"there is no scene {label} among {len(self.counts) - 1}")
        # Else torchmetrics warns of computing before any update.
        self._update_count += 1
        self._sum(value.double().to(self.sums.device), label)

    def _sum(self, value: Tensor, label: int) -> None:
        self.sums[label] += value
        self.counts[label] += 1

    def compute(self) -> Tensor:
        """The mean over all photographs (NaN without any)."""
        return self.sums.sum() / self.counts.sum()

    def per_scene(self) -> tuple[Tensor, Tensor]:
        """Mean per scene (NaN where there is none) and number of photographs per scene.

        Call it inside `sync_context()` when several ranks have photographs.
        """
        return self.sums[:-1] / self.counts[:-1], self.counts[:-1]


class PairMetric(PhotographMetric):
    """A figure of a coloured photograph beside the true one."""

    @abstractmethod
    def measure(self, pair: Pair) -> Tensor | None:
        """The figure of one photograph: a scalar; None where it isn't defined."""

    def update(self, predicted_3HW: Tensor, true_3HW: Tensor, label: int = -1) -> None:
        """Measure one photograph (3×H×W uint8 each) and add it; not counted where not defined.

        Raises:
            ValueError: see `Pair` and `add`.
        """
        value = self.measure(Pair(predicted_3HW, true_3HW))
        if value is not None:
            self.add(value, label)
