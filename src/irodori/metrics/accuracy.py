"""Scene accuracy."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.metrics.base import SceneMetric
from irodori.metrics.catalog import METRICS


class Accuracy(SceneMetric):
    """Top-1 scene accuracy in percent, over photographs with a class."""

    info = METRICS["accuracy"]
    guesses: ClassVar[int] = 1
    """k of the top-k accuracy."""

    def measure(self, logits_C: Tensor, label: int) -> Tensor | None:
        """Return 100 or 0 for one photograph; None if it has no class (−1).

        Args:
            logits_C: logits of C scenes.
            label: true scene, 0…C−1, or −1.

        Raises:
            ValueError: logits are not finite, or their number differs from the number of scenes.
        """
        scenes = len(self.counts) - 1
        if logits_C.shape != (scenes,):
            raise ValueError(f"logits of shape {tuple(logits_C.shape)} for {scenes} scenes")
        if not torch.isfinite(logits_C).all():
            raise ValueError(f"{self.info.name}: logits are not finite numbers")
        if label == -1:
            return None
        likeliest = logits_C.topk(min(self.guesses, scenes)).indices
        return 100 * (likeliest == label).any().double()


class AccuracyTop5(Accuracy):
    """Top-5 scene accuracy in percent, over photographs with a class."""

    info = METRICS["accuracy_top5"]
    guesses = 5
