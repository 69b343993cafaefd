"""Base classes of metrics. A new metric is a class derived from one of them.

Name the class in a YAML file of the group `metrics`, with `_partial_: true`; an instance is created
for each row of a table. The constructor receives `num_classes` (the number of scenes) and `prior`
(an `AbPrior`) if it has parameters of these names; further arguments come from the YAML.
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
    """Base class of all metrics, used by `Evaluation`.

    Raises:
        IrodoriError: a requirement is missing, such as a file of weights.
    """

    full_state_update = False
    info: ClassVar[MetricInfo]
    slow: ClassVar[bool] = False
    """Whether the metric is only measured if `perceptual` is true."""

    def __init__(self) -> None:
        # `PhotographMetric.add` doesn't invalidate torchmetrics' cache.
        super().__init__(compute_with_cache=False)
        if step := self.missing():
            names = " and ".join(info.name for info in self.infos())
            raise IrodoriError(f"{names} can't be measured here: {step}")

    @classmethod
    def infos(cls) -> tuple[MetricInfo, ...]:
        """Return the descriptions of the measured values."""
        return (cls.info,)

    @classmethod
    def missing(cls) -> str | None:
        """Return how to install a missing requirement; None if the metric can be measured."""
        return None

    @abstractmethod
    def record(self, pair: Pair, label: int, logits_C: Tensor | None) -> dict[str, float]:
        """Measure a photograph, accumulate it, and return its columns of per_image.csv.

        Args:
            pair: the colorized and the true photograph.
            label: true scene, 0 to C−1, or −1 for none.
            logits_C: scene logits of the network, or None.
        """

    def values(self) -> dict[str, float]:
        """Return each metric over all photographs of all ranks; NaN if undefined."""
        return {self.info.name: float(self.compute())}


class PhotographMetric(ColorizationMetric):
    """The mean of a metric over photographs, overall and per scene, from sums and counts.

    Ranks add their sums, so each may have any number of photographs, or none.

    Args:
        num_classes: number of scenes; photographs of class −1 only count in the overall mean.
    """

    weighted: ClassVar[bool] = False
    """Whether `measure` returns two numbers: the photograph's value and its weight in the mean."""
    sums: Tensor
    weights: Tensor
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("sums", "weights", "counts"):
            # float64, so that the order of summation has no visible effect; the last entry is class
            # −1.
            zeros = torch.zeros(num_classes + 1, dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the numbers that `measure` returns."""
        name = self.info.name
        return (name, name + WEIGHT) if self.weighted else (name,)

    def add(self, value: Tensor | float | None, label: int = -1) -> dict[str, float]:
        """Accumulate the result of `measure` for a photograph, and return it by column.

        None, for a photograph without a defined value, is ignored.

        Raises:
            ValueError: the value is not finite or has a wrong shape, or the scene doesn't exist.
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
        # Avoids torchmetrics' warning about computing before any update.
        self._update_count += 1
        weight = numbers[1] if self.weighted else 1
        self.sums[label] += numbers[0] * weight
        self.weights[label] += weight
        self.counts[label] += 1
        return dict(zip(self.columns, numbers.tolist(), strict=True))

    def compute(self) -> Tensor:
        """Return the mean over all photographs; NaN without any."""
        return self.sums.sum() / self.weights.sum()

    def per_scene(self) -> tuple[Tensor, Tensor]:
        """Return the mean (NaN without photographs) and the number of photographs per scene.

        With several ranks, call it inside `sync_context()`.
        """
        return self.sums[:-1] / self.weights[:-1], self.counts[:-1]


class PairMetric(PhotographMetric):
    """Base class of metrics that compare a colorized photograph with the true one.

    A subclass needs a description and `measure`:

        class MeanError(PairMetric):
            info = MetricInfo(
                "mean_error", "mean error", "lower", "mean over pixels of |a*b* error|", "ab units"
            )

            def measure(self, pair: Pair) -> Tensor:
                return pair.ab_error.norm(dim=0).mean()

    Both pictures are 8-bit RGB, 3×H×W uint8, of any size. All metrics share the conversions of a
    `Pair`.
    """

    @abstractmethod
    def measure(self, pair: Pair) -> Tensor | float | None:
        """Return the metric of one photograph: a finite scalar; None where it isn't defined."""

    def update(self, predicted_3HW: Tensor, true_3HW: Tensor, label: int = -1) -> None:
        """Measure a photograph (3×H×W uint8 each) and accumulate it, unless it is undefined.

        Raises:
            ValueError: see `Pair` and `add`.
        """
        self.record(Pair(predicted_3HW, true_3HW), label)

    def record(self, pair: Pair, label: int, logits_C: Tensor | None = None) -> dict[str, float]:
        """Measure a photograph and accumulate it; see `ColorizationMetric`."""
        return self.add(self.measure(pair), label)


class SceneMetric(PhotographMetric):
    """Base class of metrics of scene classification; see `PairMetric`."""

    @abstractmethod
    def measure(self, logits_C: Tensor, label: int) -> Tensor | float | None:
        """Return the metric of one photograph: a finite scalar; None if undefined.

        Args:
            logits_C: logits of C scenes.
            label: true scene, 0 to C−1, or −1 for none.
        """

    def update(self, logits_C: Tensor, label: int) -> None:
        """Measure a photograph and accumulate it, unless it is undefined.

        Raises:
            ValueError: see `measure` and `add`.
        """
        self.add(self.measure(logits_C, label), label)

    def record(self, pair: Pair, label: int, logits_C: Tensor | None) -> dict[str, float]:
        """Measure a photograph with logits and accumulate it; see `ColorizationMetric`."""
        return {} if logits_C is None else self.add(self.measure(logits_C, label), label)


class SetDistance(ColorizationMetric):
    """Base class of metrics of the whole set of photographs, such as FID.

    A subclass adds its states (`add_state`), accumulates photographs in `update`, and returns a
    scalar from `compute`. Its `info` has `per_photograph=False`.
    """

    @abstractmethod
    def update(self, predicted_3HW: Tensor, true_3HW: Tensor) -> None:
        """Accumulate a colorized and the true photograph (3×H×W uint8 each)."""

    def record(self, pair: Pair, label: int, logits_C: Tensor | None = None) -> dict[str, float]:
        """Accumulate a photograph; there are no values per photograph."""
        self.update(pair.predicted_3HW, pair.true_3HW)
        return {}
