"""Evaluation of several methods on the same photographs: overall, per scene, per photograph."""

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
"""A line of per_image.csv: row, key, scene, width, height, and the defined metrics."""
Overall = dict[str, dict[str, float]]
"""Metrics of each row, by name."""


class Evaluation:
    """Measures several methods, the rows of a table; each rank measures its own photographs.

    Args:
        rows: names of the rows.
        classes: names of the scenes; a label is an index, or −1 for none.
        metrics: factories of metrics; those that can't be measured here are skipped.
        device: device of the pictures.
        prior: color frequencies for class-balanced AuC.
        perceptual: also measure slow metrics (LPIPS, FID and the like).

    Attributes:
        infos: descriptions of all measured metrics, by name.

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
                f"metrics: {MAIN} can't be omitted, since checkpoints and photographs are ranked"
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
            row: row of the table.
            key: key of the photograph.
            label: true scene, or −1.
            predicted_3HW: colorized picture.
            true_3HW: true photograph.
            logits_C: scene logits on the same device.

        Raises:
            ValueError: the pictures differ in size, or a metric is not finite.
        """
        pair = Pair(predicted_3HW, true_3HW)
        height, width = true_3HW.shape[1:]
        scene = self.classes[label] if label >= 0 else ""
        record: Record = {"row": row, "key": key, "scene": scene, "width": width, "height": height}
        for metric in self.metrics[row]:
            record |= metric.record(pair, label, logits_C)
        self.records.append(record)

    def overall(self) -> Overall:
        """Return the metrics over all photographs for each row; must be called on all ranks."""
        found: Overall = {}
        for row, metrics in self.metrics.items():
            values: dict[str, float] = {}
            with warnings.catch_warnings():
                # Expected for rows without scene logits and for ranks without photographs.
                warnings.filterwarnings("ignore", message=".*before the ``update`` method.*")
                for metric in metrics:
                    values |= metric.values()
            # NaN without enough photographs.
            found[row] = {name: value for name, value in values.items() if value == value}
        return found

    def scenes(self) -> dict[str, dict[str, Any]]:
        """Return for each scene with photographs their number (`samples`) and the metrics per row.

        Must be called on all ranks.
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
                        # Metrics may be undefined for some photographs.
                        scene["samples"] = max(scene["samples"], int(number))
                        scene.setdefault(row, {})[metric.info.name] = mean
        return {name: found[name] for name in self.classes if name in found}

    def ordered(self) -> list[Record]:
        """Return this rank's records, row by row."""
        return [record for row in self.metrics for record in self.records if record["row"] == row]


def with_ab(rgb_3HW: Tensor, ab: tuple[float, float]) -> Tensor:
    """Return a picture with its L* and a constant a*b*, clipped to sRGB: 3×H×W uint8."""
    lab = Lab()
    luminance_11HW, chroma_12HW = lab.encode(to_float(rgb_3HW[None]))
    halves = zip(ab, lab.chroma_range, strict=True)
    scaled = [0.5 + value / (2 * half) for value, half in halves]
    flat_12HW = chroma_12HW.new_tensor(scaled)[None, :, None, None].expand_as(chroma_12HW)
    return to_uint8(lab.decode(luminance_11HW, flat_12HW))[0]
