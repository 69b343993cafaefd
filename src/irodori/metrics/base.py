"""The base classes of metrics: a class derived from one of them is all that a new metric needs.

Name the class in a YAML of the group `metrics`, with `_partial_: true`: one is made for each row
of a table. A constructor that names `num_classes` (the number of scenes) or `prior` (an `AbPrior`)
among its parameters is given them; further arguments come from the YAML.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from irodori.metrics.catalog import WEIGHT, MetricInfo
from irodori.metrics.pair import Pair
from irodori.utils.errors import IrodoriError


class ColorizationMetric(Metric):
    """Base class of metrics, as `Evaluation` uses them.

    Raises:
        IrodoriError: something that it needs is missing, such as a file of weights.
    """

    full_state_update = False
    info: ClassVar[MetricInfo]
    slow: ClassVar[bool] = False
    """Whether it is measured only where `perceptual` is true."""

    def __init__(self) -> None:
        # The cache of torchmetrics would outlive `PhotographMetric.add`.
        super().__init__(compute_with_cache=False)
        if step := self.missing():
            names = " and ".join(info.name for info in self.infos())
            raise IrodoriError(f"{names} can't be measured here: {step}")

    @classmethod
    def infos(cls) -> tuple[MetricInfo, ...]:
        """Return the descriptions of all that it measures."""
        return (cls.info,)

    @classmethod
    def missing(cls) -> str | None:
        """Return what to do before it can be measured here; None if it can be."""
        return None

    @abstractmethod
    def record(self, pair: Pair, label: int, logits_C: Tensor | None) -> dict[str, float]:
        """Measure one photograph, add it, and return its columns of per_image.csv.

        Args:
            pair: the colorized and the true photograph.
            label: its scene, 0 to C−1, or −1 for none.
            logits_C: what the network says of the scene, or None.
        """

    def values(self) -> dict[str, float]:
        """Return each metric over all photographs of all ranks; NaN where it isn't defined."""
        return {self.info.name: float(self.compute())}


class PhotographMetric(ColorizationMetric):
    """The mean over photographs of a metric, in all and per scene, by sums and counts.

    Ranks only add up their sums, so they may have any number of photographs, or none.

    Args:
        num_classes: number of scenes; photographs of class −1 count in the overall mean only.
    """

    weighted: ClassVar[bool] = False
    """Whether `measure` returns two numbers: the photograph's own, and its weight in the mean."""
    sums: Tensor
    weights: Tensor
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("sums", "weights", "counts"):
            # float64, so that the order of the sums does not show; the last entry is class −1.
            zeros = torch.zeros(num_classes + 1, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the numbers that `measure` returns."""
        name = self.info.name
        return (name, name + WEIGHT) if self.weighted else (name,)

    def add(self, value: Tensor | float | None, label: int = -1) -> dict[str, float]:
        """Count what `measure` returned for a photograph of a scene, and return it by column.

        None, of a photograph that the metric isn't defined of, counts nowhere.

        Raises:
            ValueError: the value is not finite or of another shape, or there is no such scene.
        """
        if value is None:
            return {}
        numbers = torch.as_tensor(value, dtype=torch.float64, device=self.sums.device).flatten()
        if len(numbers) != len(self.columns):
            raise ValueError(f"{self.info.name}: measure gave {len(numbers)} numbers")
        if not torch.isfinite(numbers).all():
            raise ValueError(f"{self.info.name} is not a finite number")
        if not -1 <= label < len(self.counts) - 1:
            raise ValueError(f"there is no scene {label} among {len(self.counts) - 1}")
        # Else torchmetrics warns of computing before any update.
        self._update_count += 1
        weight = numbers[1] if self.weighted else 1
        self.sums[label] += numbers[0] * weight
        self.weights[label] += weight
        self.counts[label] += 1
        return dict(zip(self.columns, numbers.tolist(), strict=True))

    def compute(self) -> Tensor:
        """Return the mean over all photographs (NaN without any)."""
        return self.sums.sum() / self.weights.sum()

    def per_scene(self) -> tuple[Tensor, Tensor]:
        """Return the mean per scene (NaN where there is none) and the photographs per scene.

        Call it inside `sync_context()` when several ranks have photographs.
        """
        return self.sums[:-1] / self.weights[:-1], self.counts[:-1]


class PairMetric(PhotographMetric):
    """A metric of a colorized photograph beside the true one.

    A class derived from it is complete with a description and `measure`:

        class MeanError(PairMetric):
            info = MetricInfo(
                "mean_error", "mean error", "lower", "mean over pixels of |a*b* error|", "ab units"
            )

            def measure(self, pair: Pair) -> Tensor:
                return pair.ab_error.norm(dim=0).mean()

    Both pictures are 8-bit RGB, 3×H×W uint8 in 0…255, of any size from 1×1 on. What a `Pair`
    converts is shared by all metrics.
    """

    @abstractmethod
    def measure(self, pair: Pair) -> Tensor | float | None:
        """Return the metric of one photograph: a finite scalar; None where it isn't defined."""

    def update(self, predicted_3HW: Tensor, true_3HW: Tensor, label: int = -1) -> None:
        """Measure one photograph (3×H×W uint8 each) and add it; not counted where not defined.

        Raises:
            ValueError: see `Pair` and `add`.
        """
        self.record(Pair(predicted_3HW, true_3HW), label)

    def record(self, pair: Pair, label: int, logits_C: Tensor | None = None) -> dict[str, float]:
        """Measure one photograph and add it: see `ColorizationMetric`."""
        return self.add(self.measure(pair), label)


class SceneMetric(PhotographMetric):
    """A metric of what the network says of a photograph's scene; see `PairMetric`."""

    @abstractmethod
    def measure(self, logits_C: Tensor, label: int) -> Tensor | float | None:
        """Return the metric of one photograph: a finite scalar; None where it isn't defined.

        Args:
            logits_C: a number per scene, the largest for the likeliest.
            label: the right scene, 0 to C−1, or −1 for none.
        """

    def update(self, logits_C: Tensor, label: int) -> None:
        """Measure one photograph and add it; not counted where not defined.

        Raises:
            ValueError: see `measure` and `add`.
        """
        self.add(self.measure(logits_C, label), label)

    def record(self, pair: Pair, label: int, logits_C: Tensor | None) -> dict[str, float]:
        """Measure one photograph with logits and add it: see `ColorizationMetric`."""
        return {} if logits_C is None else self.add(self.measure(logits_C, label), label)


class SetDistance(ColorizationMetric):
    """A metric of the set of all photographs as a whole, not of each.

    A class derived from it adds the states that it needs (`add_state`), takes photographs in
    `update`, and returns a scalar from `compute`. Its `info` has `per_photograph=False`.
    """

    @abstractmethod
    def update(self, predicted_3HW: Tensor, true_3HW: Tensor) -> None:
        """Take one colorized and the true photograph (3×H×W uint8 each)."""

    def record(self, pair: Pair, label: int, logits_C: Tensor | None = None) -> dict[str, float]:
        """Take one photograph, of which there is nothing to tell alone."""
        self.update(pair.predicted_3HW, pair.true_3HW)
        return {}
