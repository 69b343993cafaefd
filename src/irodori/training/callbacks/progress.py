"""What a run prints: a progress bar with images/s in a terminal, and a line per validation."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme


class Lines(Callback):
    """Prints a line per validation: epoch, losses, scores and images per second of training.

    Args:
        batch_size: images per optimizer step over all ranks.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.seconds = 0.0
        self.images = 0
        self._start = 0.0
        self._steps = 0
        self._validated = False

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self._start, self._steps = time.perf_counter(), trainer.global_step

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop the clock: a validation is no training."""
        self._stop(trainer)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock again."""
        self._validated = True
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Print the epoch if it was validated."""
        self._stop(trainer)
        figures = {name: value.item() for name, value in trainer.callback_metrics.items()}
        # Steps may end within an epoch, which is then not validated.
        validated, self._validated = self._validated, False
        if not trainer.is_global_zero or not validated:
            return
        parts = [f"epoch {trainer.current_epoch + 1:>3}"]
        names = {
            "train/mse_epoch": "mse {:.5f}",
            "train/huber_epoch": "Huber {:.5f}",
            "train/classes_epoch": "classes {:.3f}",
            "train/cross_entropy_epoch": "cross-entropy {:.3f}",
            "train/accuracy_epoch": "accuracy {:.2f}",
            "val/chroma_rmse": "validation: chroma RMSE {:.2f}",
            "val/accuracy": "accuracy {:.2f}",
        }
        parts += [text.format(figures[name]) for name, text in names.items() if name in figures]
        if self.images:
            parts.append(f"{self.images / self.seconds:.0f} images/s")
        print(" · ".join(parts), flush=True)
        self.seconds, self.images = 0.0, 0

    def _stop(self, trainer: Trainer) -> None:
        self.images += (trainer.global_step - self._steps) * self.batch_size
        self.seconds += time.perf_counter() - self._start
        self._start, self._steps = time.perf_counter(), trainer.global_step


class ImagesBar(RichProgressBar):
    """Lightning's rich bar, with images per second over all ranks in place of batches.

    Args:
        batch_size: images per micro-batch over all ranks.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__(leave=False, theme=RichProgressBarTheme(metrics_format=".4g"))
        self.batch_size = batch_size
        self._clock = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_epoch_start(trainer, pl_module)
        self._clock = time.perf_counter()

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Chroma RMSE of the last validation, and images per second since the epoch's start."""
        figures: dict[str, Any] = {}
        if "val/chroma_rmse" in trainer.callback_metrics:
            figures["chroma RMSE"] = trainer.callback_metrics["val/chroma_rmse"].item()
        if trainer.training:
            batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
            seconds = time.perf_counter() - self._clock
            figures["images/s"] = batches * self.batch_size / max(seconds, 1e-9)
        return figures
