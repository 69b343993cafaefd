"""All metrics of several ways to color photographs: overall, per scene, per photograph."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from irodori.color import Lab, to_float, to_uint8
from irodori.metrics.base import PhotographMetric
from irodori.metrics.catalog import MAIN, MetricInfo
from irodori.metrics.factories import Factories, make_metrics
from irodori.metrics.pair import Pair
from irodori.metrics.prior import AbPrior
from irodori.utils.errors import IrodoriError

Record = dict[str, Any]
"""A line of per_image.csv: row, key, scene, width, height, and the metrics that are defined."""
Overall = dict[str, dict[str, float]]
"""Metrics of each row, by name."""


class Evaluation:
    """Measures pictures of photographs, row by row of a table; every rank its own photographs.

    Args:
        rows: names of the ways to color.
        classes: names of the scenes; a label is a place in it, −1 stands for none.
        metrics: see `factories`; those that can't be measured here are left out.
        device: where the pictures are.
        prior: what class-balanced AuC is weighted by.
        perceptual: measure the slow metrics, too (LPIPS, FID and the like).

    Attributes:
        infos: the descriptions of all metrics that are measured, by name.

    Raises:
        IrodoriError: see `make_metrics`; or the main metric isn't measured.
    """

    def __init__(
        self,
        rows: Sequence[str],
        classes: Sequence[str],
        metrics: Factories,
        device: torch.device,
        prior: AbPrior,
        perceptual: bool = False,
    ) -> None:
        self.classes = classes
        self.metrics = {
            row: make_metrics(metrics, len(classes), prior, slow=perceptual) for row in rows
        }
        for made in self.metrics.values():
            for metric in made:
                metric.to(device)
        self.infos: dict[str, MetricInfo] = {
            info.name: info
            for made in self.metrics.values()
            for metric in made
            for info in metric.infos()
        }
        if MAIN not in self.infos:
            raise IrodoriError(
                f"metrics: {MAIN} can't be left out, since checkpoints and photographs are ordered"
                " by it"
            )
        self.records: list[Record] = []

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
            predicted_3HW: the colorized picture.
            true_3HW: the photograph.
            logits_C: what the network says of the scene, on the same device.

        Raises:
            ValueError: the two differ in size, or a metric is not a finite number.
        """
        pair = Pair(predicted_3HW, true_3HW)
        height, width = true_3HW.shape[1:]
        scene = self.classes[label] if label >= 0 else ""
        record: Record = {"row": row, "key": key, "scene": scene, "width": width, "height": height}
        for metric in self.metrics[row]:
            record |= metric.record(pair, label, logits_C)
        self.records.append(record)

    def overall(self) -> Overall:
        """Return for each row the metrics over all photographs; all ranks call it together."""
        found: Overall = {}
        for row, metrics in self.metrics.items():
            values: dict[str, float] = {}
            with warnings.catch_warnings():
                # Rows without scene logits, and ranks without photographs, are meant.
                warnings.filterwarnings("ignore", message=".*before the ``update`` method.*")
                for metric in metrics:
                    values |= metric.values()
            # Not a number: of no photograph, or of too few.
            found[row] = {name: value for name, value in values.items() if value == value}
        return found

    def scenes(self) -> dict[str, dict[str, Any]]:
        """Return for each scene with photographs their number (`samples`) and each row's metrics.

        All ranks call it together.
        """
        found: dict[str, dict[str, Any]] = {}
        for row, metrics in self.metrics.items():
            for metric in metrics:
                if not isinstance(metric, PhotographMetric):
                    continue
                with metric.sync_context():
                    means, counts = (column.tolist() for column in metric.per_scene())
                for name, mean, number in zip(self.classes, means, counts, strict=True):
                    if number:
                        scene = found.setdefault(name, {"samples": 0})
                        # Not every metric is defined of every photograph.
                        scene["samples"] = max(scene["samples"], int(number))
                        scene.setdefault(row, {})[metric.info.name] = mean
        return {name: found[name] for name in self.classes if name in found}

    def ordered(self) -> list[Record]:
        """Return this rank's records, row by row."""
        return [record for row in self.metrics for record in self.records if record["row"] == row]


def with_ab(rgb_3HW: Tensor, ab: tuple[float, float]) -> Tensor:
    """Return the picture with its own L* and one a*b* everywhere, clipped: 3×H×W uint8."""
    lab = Lab()
    luminance_11HW, chroma_12HW = lab.encode(to_float(rgb_3HW[None]))
    halves = zip(ab, lab.chroma_range, strict=True)
    scaled = [0.5 + value / (2 * half) for value, half in halves]
    flat_12HW = chroma_12HW.new_tensor(scaled)[None, :, None, None].expand_as(chroma_12HW)
    return to_uint8(lab.decode(luminance_11HW, flat_12HW))[0]
