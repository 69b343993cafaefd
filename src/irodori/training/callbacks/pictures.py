"""Sheets of a fixed set of validation photographs (gray · predicted · true), as PNG and logged."""

from pathlib import Path
from typing import Annotated

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from irodori.config.ranges import Range
from irodori.inference.contact_sheet import TITLES, contact_sheet, gray_of
from irodori.model import Model, color_pictures
from irodori.utils.errors import one_line
from irodori.utils.files import replacing
from irodori.utils.run_files import PICTURES


class Pictures(Callback):
    """Writes `epoch-0012.png` at the last validation of an epoch, and `best.png` at the end.

    Args:
        count: number of photographs, evenly spread over the validation set.
    """

    def __init__(self, count: Annotated[int, Range(min=1)] = 8) -> None:
        self.count = count
        self._true: list[Tensor] | None = None

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the sheet of an epoch, or print an error."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        name = f"epoch-{trainer.current_epoch + 1:04d}.png"
        try:
            self.write(trainer, pl_module, name)
        except OSError as error:
            print(f"{name} can't be written: {one_line(error)}", flush=True)

    def write(self, trainer: Trainer, module: LightningModule, name: str) -> None:
        """Write and log a sheet with the current weights, on rank 0.

        Raises:
            OSError: the file can't be written.
        """
        if not trainer.is_global_zero:
            return
        if self._true is None:
            self._true = self._photographs(trainer)
        model = module.model
        assert isinstance(model, Model)
        training = module.training
        module.eval()
        with trainer.precision_plugin.forward_context():
            colored, _ = color_pictures(model.network, model.space, self._true)
        module.train(training)
        pairs = zip(colored, self._true, strict=True)
        rows = [[gray_of(model.space, true), mine, true] for mine, true in pairs]
        picture = contact_sheet(rows, TITLES)
        with replacing(Path(trainer.default_root_dir, PICTURES, name)) as file:
            picture.save(file, "png")
        key, step = "pictures_best", trainer.global_step
        if trainer.state.fn == TrainerFn.FITTING:
            # The same step as this validation's metrics.
            key, step = "pictures", trainer.global_step - 1
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image(key, [picture], step, caption=["gray · predicted · true"])

    def _photographs(self, trainer: Trainer) -> list[Tensor]:
        """Return the photographs, 3×H×W uint8 on the device, without damaged ones."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        last = len(data.val_index) - 1
        samples = np.linspace(0, last, min(self.count, last + 1)).round().astype(int)
        photographs = []
        for sample in samples.tolist():
            try:
                picture = data.val_resize(data.val_samples.image(sample))
            except (RuntimeError, OSError):
                continue  # reported during validation
            photographs.append(picture.to(trainer.strategy.root_device))
        return photographs
