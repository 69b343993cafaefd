"""A fixed set of validation photographs as gray · predicted · true, written as PNG and logged."""

from pathlib import Path

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from irodori.data.base import ShardModule
from irodori.data.files import replacing
from irodori.errors import one_line
from irodori.inference.checkpoint import Model
from irodori.inference.coloring import color_pictures
from irodori.inference.sheet import gray_of, sheet
from irodori.training.loggers.tensorboard import TensorBoard


class Pictures(Callback):
    """Writes `epoch-0012.png` at each validation, and `best.png` at the end.

    Args:
        data: the validation set, from which `count` photographs are taken, evenly spread.
        count: number of photographs.
        folder: where the pictures go.
    """

    def __init__(self, data: ShardModule, count: int, folder: Path) -> None:
        length = len(data.val_index)
        spread = np.linspace(0, length - 1, min(count, length)).round()
        self.data = data
        self.samples = spread.astype(int).tolist()
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
            device = trainer.strategy.root_device
            self._true = []
            for sample in self.samples:
                try:
                    image = self.data.val_resize(self.data.val_samples.image(sample))
                except (RuntimeError, OSError):
                    continue  # Damaged images are reported where they are validated on.
                self._true.append(image.to(device))
        model = module.model
        assert isinstance(model, Model)
        training = module.training
        module.eval()
        with trainer.precision_plugin.forward_context():
            colored, _ = color_pictures(model.network, model.space, self._true)
        module.train(training)
        picture = sheet(
            [
                [gray_of(model.space, true), predicted, true]
                for predicted, true in zip(colored, self._true, strict=True)
            ]
        )
        with replacing(self.folder / name) as file:
            picture.save(file, "png")
        key, step = "pictures_best", trainer.global_step
        if trainer.state.fn == TrainerFn.FITTING:
            # As the figures of this validation are.
            key, step = "pictures", trainer.global_step - 1
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger | TensorBoard):
                caption = ["gray · predicted · true"]
                logger.log_image(key, [picture], step, caption=caption)
