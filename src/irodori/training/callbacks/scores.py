"""The figures of metrics.json: the model beside the all-gray and the mean-colour pictures."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from irodori.color import color_space, to_float, to_uint8
from irodori.data.stream import ShardDataset
from irodori.errors import IrodoriError
from irodori.metrics import ChrominanceRMSE, mean_ab

MEAN_SAMPLES = 1000
"""At most so many training photographs, evenly spread, make the mean colour."""

ROWS = ("model", "mean_color", "gray")


class Scores(Callback):
    """During `trainer.validate`: chrominance RMSE of three rows, in all and per scene.

    The reference pictures keep the photo's own L* and take one chrominance for all pixels: that of
    gray, and the mean a*b* of the *training* photographs. They do not depend on the model's colour
    space.

    Args:
        classes: names of the scenes.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.ab = torch.zeros(2)
        self.rows = {name: ChrominanceRMSE(len(classes)) for name in ROWS}
        self.result: dict[str, Any] = {}

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start from nothing."""
        self.ab = torch.tensor(module.model.mean_ab)  # type: ignore[union-attr,arg-type]
        for metric in self.rows.values():
            metric.reset()
            metric.to(module.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch's photographs to the three rows."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        for colored, true, label in zip(
            outputs["colored"], outputs["true"], outputs["labels"], strict=True
        ):
            self.rows["model"].update(colored, true, label)
            self.rows["gray"].update(with_ab(true, torch.zeros(2)), true, label)
            self.rows["mean_color"].update(with_ab(true, self.ab), true, label)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Put the figures of all ranks into `result`."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        overall: dict[str, float] = {}
        scenes: dict[str, dict[str, float | int]] = {name: {} for name in self.classes}
        for row, metric in self.rows.items():
            overall[row] = metric.compute().item()
            with metric.sync_context():
                means, counts = metric.per_scene()
            for name, mean, count in zip(
                self.classes, means.tolist(), counts.tolist(), strict=True
            ):
                if count:
                    scenes[name]["samples"] = int(count)
                    scenes[name][row] = mean
        self.result = {
            "chroma_rmse": overall,
            "scenes": {name: figures for name, figures in scenes.items() if figures},
            "mean_ab": self.ab.tolist(),
        }


def with_ab(rgb_3HW: Tensor, ab: Tensor) -> Tensor:
    """The picture with its own L* and one a*b* everywhere: 3×H×W uint8 → 3×H×W uint8, clipped."""
    lab = color_space("lab")
    luminance_11HW, chroma_12HW = lab.encode(to_float(rgb_3HW[None]))
    gray_12HW = torch.full_like(chroma_12HW, 0.5)
    return to_uint8(lab.decode(luminance_11HW, gray_12HW + scaled_ab(ab).to(gray_12HW)))[0]


def scaled_ab(ab: Tensor) -> Tensor:
    """a* and b* on the scale of Lab's chrominance, less that of gray: 2 → 1×2×1×1."""
    halves = torch.tensor(color_space("lab").chroma_range)
    return (ab.cpu() / (2 * halves)).reshape(1, 2, 1, 1)


def training_mean_ab(data: ShardDataset) -> Tensor:
    """Mean a* and b* over training photographs (per photograph, then over them): 2 values.

    Raises:
        IrodoriError: not one of them can be decoded.
    """
    step = max(1, -(-len(data.index) // MEAN_SAMPLES))
    means = []
    for sample in range(0, len(data.index), step):
        try:
            means.append(mean_ab(data.image(sample)))
        except (RuntimeError, OSError):
            continue  # Damaged images are reported where they are trained on.
    if not means:
        raise IrodoriError("no training image can be decoded: check the shards of data.train")
    return torch.stack(means).mean(0)
