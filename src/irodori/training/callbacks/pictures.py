"""A fixed set of validation photographs as gray · predicted · true, written as PNG and logged."""

from pathlib import Path

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional

from irodori.color import to_float, to_uint8
from irodori.data.files import replacing
from irodori.data.plan import Reading
from irodori.data.stream import ShardDataset
from irodori.errors import one_line
from irodori.inference.checkpoint import Model
from irodori.inference.coloring import color_pictures

BOX = (213, 160)
"""Width and height of the box that a picture fits into, in pixels."""
GAP = 4
"""White between pictures, in pixels."""
TITLE = 20
"""Height of the line of titles, in pixels."""
TITLES = ("gray", "predicted", "true")


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
        """Write the sheet of an epoch, or say that it can't be written."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        name = f"epoch-{trainer.current_epoch + 1:04d}.png"
        try:
            self.write(trainer, module, name)
        except OSError as error:
            print(f"{self.folder / name} can't be written: {one_line(error)}", flush=True)

    def write(self, trainer: Trainer, module: LightningModule, name: str) -> None:
        """Write the sheet of the module as it is, and log it, on rank 0.

        Raises:
            OSError: it can't be written.
        """
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
        with replacing(self.folder / name) as file:
            picture.save(file, "png")
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
    """A contact sheet with titles: triples of pictures (3×H×W uint8), two triples to a line.

    Each picture fits into a box of BOX pixels, centred, so that triples line up.
    """
    columns = min(2, len(rows))
    triple = 3 * (BOX[0] + GAP) + 3 * GAP
    lines = -(-len(rows) // columns)
    canvas = Image.new(
        "RGB", (columns * triple - 4 * GAP, TITLE + lines * (BOX[1] + GAP) - GAP), "white"
    )
    draw = ImageDraw.Draw(canvas)
    for number, row in enumerate(rows):
        line, column = divmod(number, columns)
        for place, (title, tensor) in enumerate(zip(TITLES, row, strict=True)):
            left = column * triple + place * (BOX[0] + GAP)
            if line == 0:
                draw.text((left + BOX[0] // 2, TITLE // 2), title, "black", anchor="mm")
            picture = ImageOps.contain(functional.to_pil_image(tensor.cpu()), BOX)
            margin = ((BOX[0] - picture.width) // 2, (BOX[1] - picture.height) // 2)
            top = TITLE + line * (BOX[1] + GAP)
            canvas.paste(picture, (left + margin[0], top + margin[1]))
    return canvas
