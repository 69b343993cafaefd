"""Output of a run: a line per validation, and a progress bar on a terminal or lines without one."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from lightning.pytorch.trainer.states import TrainerFn

from irodori.training.callbacks.checkpoints import SECONDS
from irodori.training.settings import MONITOR
from irodori.utils.progress import Pace


class EpochPrinter(Callback):
    """Prints a line per validated epoch: epoch, losses, metrics, and images/s in training."""

    def __init__(self) -> None:
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record that this epoch was validated."""
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line if the epoch was validated."""
        validated, self._validated = self._validated, False
        if not trainer.is_global_zero or not validated:
            return
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        images = trainer.global_step * trainer.datamodule.config.batch_size  # type: ignore[attr-defined]
        metrics["images/s"] = images / max(metrics[SECONDS], 1e-9)
        objective = pl_module.objective.name  # type: ignore[union-attr]
        texts = {
            f"train/{objective}_epoch": f"{objective} {{:.5f}}",
            "train/cross_entropy_epoch": "cross-entropy {:.3f}",
            "train/accuracy_epoch": "accuracy {:.2f}",
            MONITOR: "validation: chroma RMSE {:.2f}",
            "val/accuracy": "accuracy {:.2f}",
            "images/s": "{:.0f} images/s",
        }
        parts = [text.format(metrics[name]) for name, text in texts.items() if name in metrics]
        print(" · ".join([f"epoch {trainer.current_epoch + 1:>3}", *parts]), flush=True)


class BatchPrinter(Callback):
    """Prints every few seconds how many batches of an epoch or a validation are done."""

    def __init__(self) -> None:
        self._pace = Pace()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Print it, if a line is due."""
        self._print(
            trainer, f"epoch {trainer.current_epoch + 1}", batch_idx, trainer.num_training_batches
        )

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Print it, if a line is due."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._print(trainer, "validation", batch_idx, trainer.num_val_batches[0])

    def _print(self, trainer: Trainer, task: str, number: int, total: float) -> None:
        if trainer.is_global_zero and self._pace.is_due():
            print(f"{task}: {number + 1} of {total} batches", flush=True)


class ImagesBar(RichProgressBar):
    """Lightning's rich progress bar, with images per second over all ranks."""

    def __init__(self) -> None:
        super().__init__(leave=False, theme=RichProgressBarTheme(metrics_format=".4g"))
        self._start = time.perf_counter()
        self._first: int | None = None
        self._metrics: dict[str, Any] = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_epoch_start(trainer, pl_module)
        self._start = time.perf_counter()
        self._first = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the first batch since the clock was started: a resumed epoch isn't at 0."""
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        self._first = batch_idx if self._first is None else self._first

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the score here, so that drawing the bar doesn't synchronize."""
        super().on_validation_end(trainer, pl_module)
        self._metrics["chroma RMSE"] = trainer.callback_metrics[MONITOR].item()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return chrominance RMSE of the last validation, and images/s of the epoch."""
        if not trainer.training:
            return self._metrics
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready - (self._first or 0)
        size = trainer.datamodule.config.batch_size / trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        return {**self._metrics, "images/s": batches * size / (time.perf_counter() - self._start)}
