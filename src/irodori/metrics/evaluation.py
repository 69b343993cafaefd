"""All figures of several ways to colour photographs: overall, per scene, per photograph."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from irodori.color import Lab, to_float, to_uint8
from irodori.metrics.measures import SCENE_METRICS, pair_metrics, set_distances
from irodori.metrics.pair import Pair
from irodori.metrics.photograph import PhotographMetric
from irodori.metrics.prior import AbPrior

Record = dict[str, Any]
"""A line of per_image.csv: row, key, scene, width, height, and the figures that are defined."""
Overall = dict[str, dict[str, float]]
"""For each row its figures, by name."""


class Evaluation:
    """Measures pictures of photographs, row by row of a table; every rank its own photographs.

    Args:
        rows: names of the ways to colour.
        classes: names of the scenes; a label is a place in it, −1 stands for none.
        prior: what class-balanced AuC is weighted by.
        device: where the pictures are.
        perceptual: LPIPS and the distances of sets, too, where their weights are at hand.
    """

    def __init__(
        self,
        rows: Sequence[str],
        classes: Sequence[str],
        prior: AbPrior,
        device: torch.device,
        perceptual: bool = False,
    ) -> None:
        self.classes = classes
        self.pair_metrics = {row: pair_metrics(len(classes), prior, perceptual) for row in rows}
        self.accuracies = {
            row: [metric(len(classes)) for metric in SCENE_METRICS.values()] for row in rows
        }
        self.distances = {row: set_distances() if perceptual else [] for row in rows}
        for row in rows:
            for metric in [*self._metrics(row), *self.distances[row]]:
                metric.to(device)
        self.records: list[Record] = []

    def _metrics(self, row: str) -> list[PhotographMetric]:
        return [*self.pair_metrics[row], *self.accuracies[row]]

    def add(
        self,
        row: str,
        key: str,
        label: int,
        predicted_3HW: Tensor,
        true_3HW: Tensor,
        logits_C: Tensor | None = None,
    ) -> None:
        """Measure one photograph (3×H×W uint8 each).

        Args:
            row: of the table.
            key: of the photograph.
            label: its scene, or −1.
            predicted_3HW: the coloured picture.
            true_3HW: the photograph.
            logits_C: what the network says of the scene, on the same device.

        Raises:
            ValueError: the two differ in size, or a figure is not a finite number.
        """
        pair = Pair(predicted_3HW, true_3HW)
        height, width = true_3HW.shape[1:]
        scene = self.classes[label] if label >= 0 else ""
        record: Record = {"row": row, "key": key, "scene": scene, "width": width, "height": height}
        for metric in self.pair_metrics[row]:
            count(metric, metric.measure(pair), label, record)
        for distance in self.distances[row]:
            distance.update(predicted_3HW, true_3HW)
        if logits_C is not None:
            for accuracy in self.accuracies[row]:
                count(accuracy, accuracy.measure(logits_C, label), label, record)
        self.records.append(record)

    def overall(self) -> Overall:
        """For each row the figures over all photographs; all ranks call it together."""
        found: Overall = {}
        for row in self.pair_metrics:
            with warnings.catch_warnings():
                # Rows without scene logits, and ranks without photographs, are meant.
                warnings.filterwarnings("ignore", message=".*before the ``update`` method.*")
                values = {metric.name: metric.compute().item() for metric in self._metrics(row)}
                for distance in self.distances[row]:
                    values |= {figure.name: figure.value for figure in distance.compute()}
            # Not a number: of no photograph, or of too few.
            found[row] = {name: value for name, value in values.items() if value == value}
        return found

    def scenes(self) -> dict[str, dict[str, Any]]:
        """For each scene that has photographs their number (`samples`), and each row's figures.

        All ranks call it together.
        """
        found: dict[str, dict[str, Any]] = {}
        for row in self.pair_metrics:
            for metric in self._metrics(row):
                with metric.sync_context():
                    means, counts = (column.tolist() for column in metric.per_scene())
                for name, mean, number in zip(self.classes, means, counts, strict=True):
                    if number:
                        scene = found.setdefault(name, {"samples": 0})
                        # Not every figure is defined of every photograph.
                        scene["samples"] = max(scene["samples"], int(number))
                        scene.setdefault(row, {})[metric.name] = mean
        return {name: found[name] for name in self.classes if name in found}

    def ordered(self) -> list[Record]:
        """This rank's records, row by row."""
        return [
            record for row in self.pair_metrics for record in self.records if record["row"] == row
        ]


def count(metric: PhotographMetric, value: Tensor | None, label: int, record: Record) -> None:
    """Add what a metric has measured to its sums, and to the photograph's record."""
    if value is None:
        return
    metric.add(value, label)
    record.update(zip(metric.columns, value.flatten().tolist(), strict=True))


def with_ab(rgb_3HW: Tensor, ab: tuple[float, float]) -> Tensor:
    """The picture with its own L* and one a*b* everywhere: 3×H×W uint8 → 3×H×W uint8, clipped."""
    lab = Lab()
    luminance_11HW, chroma_12HW = lab.encode(to_float(rgb_3HW[None]))
    halves = zip(ab, lab.chroma_range, strict=True)
    scaled = [0.5 + value / (2 * half) for value, half in halves]
    flat_12HW = chroma_12HW.new_tensor(scaled)[None, :, None, None].expand_as(chroma_12HW)
    return to_uint8(lab.decode(luminance_11HW, flat_12HW))[0]
