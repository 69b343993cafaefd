"""Scene accuracy: how often the scene is recognized."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.metrics.base import SceneMetric
from irodori.metrics.catalog import METRICS


class Accuracy(SceneMetric):
    """The share of photographs with a class whose likeliest scene is the right one, in percent."""

    info = METRICS["accuracy"]
    guesses: ClassVar[int] = 1
    """Number of the likeliest scenes that may hold the right one."""

    def measure(self, logits_C: Tensor, label: int) -> Tensor | None:
        """Return 100 or 0 for one photograph; None if it has no class (−1).

        Args:
            logits_C: a number per scene, the largest for the likeliest.
            label: the right scene, 0…C−1, or −1.

        Raises:
            ValueError: logits are not finite or of another number than the scenes.
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
    """The share of photographs with a class that is among the five likeliest scenes, in percent."""

    info = METRICS["accuracy_top5"]
    guesses = 5
