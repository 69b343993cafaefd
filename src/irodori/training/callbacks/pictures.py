"""A fixed set of validation photographs as gray · predicted · true, written as PNG and logged."""

from pathlib import Path

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from irodori.color import to_float, to_uint8
from irodori.data.plan import Reading
from irodori.data.stream import ShardDataset
from irodori.inference.checkpoint import Model
from irodori.inference.coloring import color_pictures

HEIGHT = 160
"""Height of a picture in the sheet, in pixels."""
GAP = 4
"""White between pictures, in pixels."""


class Pictures(Callback):
    """Writes `epoch-0012.png` at each validation, and `best.png` at the end.

    Args:
        data: the validation set, from which `count` photographs are taken, evenly spread.
        count: number of photographs.
        folder: where the pictures go.
    """

    def __init__(self, data: ShardDataset, count: int, folder: Path) -> None:
        spread = np.linspace(0, len(data.index) - 1, min(count, len(data.index))).round()
        samples = spread.astype(np.int64)
        self.data = data
        self.samples = samples
        self.folder = folder
        self._true: list[Tensor] | None = None

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write the sheet of an epoch."""
        if trainer.state.fn == TrainerFn.FITTING:
            self.write(trainer, module, f"epoch-{trainer.current_epoch + 1:04d}.png")

    def write(self, trainer: Trainer, module: LightningModule, name: str) -> None:
        """Write the sheet of the module as it is, and log it, on rank 0."""
        if not trainer.is_global_zero:
            return
        if self._true is None:
            batch = self.data[Reading(0, self.samples, self.samples)]
            device = trainer.strategy.root_device
            self._true = [
                image.to(device)
                for image, valid in zip(batch["images"], batch["valid"].tolist(), strict=True)
                if valid
            ]
        model = module.model
        assert isinstance(model, Model)
        training = module.training
        module.eval()
        with trainer.precision_plugin.forward_context():
            colored, _ = color_pictures(model.network, model.space, self._true)
        module.train(training)
        picture = sheet(
            [
                [gray_of(model, true), predicted, true]
                for predicted, true in zip(colored, self._true, strict=True)
            ]
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        picture.save(self.folder / name)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                caption = ["gray · predicted · true"]
                logger.log_image("pictures", [picture], trainer.global_step, caption=caption)


def gray_of(model: Model, rgb_3HW: Tensor) -> Tensor:
    """What the model's luminance looks like without colour: 3×H×W uint8 → 3×H×W uint8."""
    luminance_11HW, _ = model.space.encode(to_float(rgb_3HW[None]))
    gray = model.space.decode(luminance_11HW, model.space.gray_chroma(luminance_11HW))
    return to_uint8(gray)[0]


def sheet(rows: list[list[Tensor]]) -> Image.Image:
    """A contact sheet: triples of pictures (3×H×W uint8) side by side, two triples to a line."""
    strips = []
    for row in rows:
        scaled = [functional.resize(p.cpu(), [HEIGHT, wide(p)], antialias=True) for p in row]
        strips.append(join(scaled, across=True))
    lines = [
        join(strips[start : start + 2], across=True, gap=4 * GAP)
        for start in range(0, len(strips), 2)
    ]
    picture: Image.Image = functional.to_pil_image(join(lines, across=False))
    return picture


def wide(picture: Tensor) -> int:
    """Width in pixels at the sheet's height."""
    return max(1, round(picture.shape[2] * HEIGHT / picture.shape[1]))


def join(pictures: list[Tensor], across: bool, gap: int = GAP) -> Tensor:
    """Pictures side by side or below each other on white, with a gap in pixels between."""
    axis = 2 if across else 1
    other = 3 - axis
    length = sum(p.shape[axis] for p in pictures) + gap * (len(pictures) - 1)
    shape = [3, 0, 0]
    shape[axis], shape[other] = length, max(p.shape[other] for p in pictures)
    canvas = torch.full(shape, 255, dtype=torch.uint8)
    start = 0
    for picture in pictures:
        place = canvas.narrow(axis, start, picture.shape[axis])
        place.narrow(other, 0, picture.shape[other]).copy_(picture)
        start += picture.shape[axis] + gap
    return canvas
