"""What a run prints: a progress bar with images/s in a terminal, and a line per validation."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme

from irodori.training.settings import MONITOR


class EpochPrinter(Callback):
    """Prints a line per validation: epoch, losses, scores and images per second of training."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.images = 0
        self._start = 0.0
        self._steps = 0
        self._validated = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start, self._steps = time.perf_counter(), trainer.global_step

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock: a validation is no training."""
        self._stop(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock again."""
        self._validated = True
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch if it was validated."""
        self._stop(trainer)
        # Steps may end within an epoch, which is then not validated.
        validated, self._validated = self._validated, False
        if not trainer.is_global_zero or not validated:
            return
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        objective = getattr(pl_module.objective, "name", "")
        parts = [f"epoch {trainer.current_epoch + 1:>3}"]
        texts = {
            f"train/{objective}_epoch": f"{objective} {{:.5f}}",
            "train/cross_entropy_epoch": "cross-entropy {:.3f}",
            "train/accuracy_epoch": "accuracy {:.2f}",
            MONITOR: "validation: chroma RMSE {:.2f}",
            "val/accuracy": "accuracy {:.2f}",
        }
        parts += [text.format(metrics[name]) for name, text in texts.items() if name in metrics]
        if self.images:
            parts.append(f"{self.images / self.seconds:.0f} images/s")
        print(" · ".join(parts), flush=True)
        self.seconds, self.images = 0.0, 0

    def _stop(self, trainer: Trainer) -> None:
        batch_size = trainer.datamodule.config.batch_size  # type: ignore[attr-defined]
        self.images += (trainer.global_step - self._steps) * batch_size
        self.seconds += time.perf_counter() - self._start
        self._start, self._steps = time.perf_counter(), trainer.global_step


class ImagesBar(RichProgressBar):
    """Lightning's rich bar, with images per second over all ranks in place of batches."""

    def __init__(self) -> None:
        super().__init__(leave=False, theme=RichProgressBarTheme(metrics_format=".4g"))
        self._clock = time.perf_counter()
        self._score: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_epoch_start(trainer, pl_module)
        self._clock = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the score here, so that drawing the bar doesn't wait for the device."""
        super().on_validation_end(trainer, pl_module)
        if MONITOR in trainer.callback_metrics:
            self._score = trainer.callback_metrics[MONITOR].item()

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return chroma RMSE of the last validation, and images/s since the epoch's start."""
        metrics: dict[str, Any] = {}
        if self._score is not None:
            metrics["chroma RMSE"] = self._score
        if trainer.training:
            batch = trainer.datamodule.config.batch_size  # type: ignore[attr-defined]
            batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
            seconds = time.perf_counter() - self._clock
            images = batches * batch // trainer.accumulate_grad_batches
            metrics["images/s"] = images / max(seconds, 1e-9)
        return metrics
