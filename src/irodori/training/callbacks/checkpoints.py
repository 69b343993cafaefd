"""Writes last.ckpt, from which a run resumes exactly, and best.ckpt; stops on a signal."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from irodori.config.ranges import Range
from irodori.runs.folder import resume_command
from irodori.training.callbacks.watcher import Watcher
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.metrics_csv import MetricsCSV
from irodori.training.position import batches_done, set_position
from irodori.training.ranks import Agreement, agree
from irodori.training.settings import MONITOR
from irodori.training.stopping import Stopped, StopSignal
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import BEST, CHECKPOINTS, LAST

SECONDS = "train/seconds"
"""Seconds of training before a validation, those of all validations left out."""


class Checkpoints(Callback):
    """Keeps `last.ckpt` and `best.ckpt` of a run.

    The last one is written between two optimizer steps, every so many steps and minutes, before
    each validation, after each epoch, at the end, and when a signal asks the run to stop. If a
    checkpoint can't be written, a line says so, and the one before stays.

    It has the run's clocks, too, which continue over interruptions: what was done after the
    checkpoint that a run resumes from counts no more than its steps do. `seconds`, in metrics.json,
    is the whole time. `train/seconds`, logged with each validation, is the time of the steps:
    validations and what is written with them are left out, since they take a slower network longer,
    too.

    Args:
        every_steps: optimizer steps between checkpoints; None for no such limit.
        every_minutes: time between checkpoints; None for no such limit.
        clock: returns seconds.

    Attributes:
        stop: the signals that it looks at.
        best: the least validation error so far.
        seconds: of training and its validations, also before an interruption; whole when training
            has ended.
    """

    def __init__(
        self,
        every_steps: Annotated[int, Range(least=1)] | None = 1000,
        every_minutes: Annotated[float, Range(least=0)] | None = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.clock = clock
        self.stop = StopSignal()
        self.folder = Path()
        self.watchers: list[Watcher] = []
        self.best: float | None = None
        self.seconds = 0.0
        self._validations = 0.0
        self._validated_after: float | None = None
        self._agreement = Agreement()
        self._stopping = self._late = False
        self._fitting = False
        self._loaded: dict[str, Any] | None = None
        self._max_steps = -1
        self._last_of_step = False
        self._rows = 0
        self._saved = (0, False)
        self._saved_step = 0
        self._saved_time = clock()
        self._started: float | None = None

    def _elapsed(self) -> float:
        return self.seconds + (0.0 if self._started is None else self.clock() - self._started)

    def _trained(self) -> float:
        """Seconds without validations; it stands still while there is one."""
        if self._validated_after is not None:
            return self._validated_after
        return self._elapsed() - self._validations

    def state_dict(self) -> dict[str, Any]:
        """Return position, best score, rows of metrics.csv, and the clocks."""
        return {
            "batches": self._saved[0],
            "validating": self._saved[1],
            "best": self.best,
            "rows": self._rows,
            "seconds": self._elapsed(),
            "trained": self._trained(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint's state, but not when one is only validated."""
        if self._fitting:
            self._loaded = state_dict
            self._saved = (state_dict["batches"], state_dict["validating"])
            self._rows = state_dict["rows"]
            self.best = state_dict["best"]
            self.seconds = state_dict["seconds"]
            self._validations = self.seconds - state_dict["trained"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note whether this is training or a validation of its own; use rank 0's folder."""
        self._fitting = stage == "fit"
        folder = trainer.strategy.broadcast(trainer.default_root_dir)
        self.folder = Path(folder) / CHECKPOINTS
        self.watchers = [c for c in trainer.callbacks if isinstance(c, Watcher)]  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let Lightning begin, though all steps are done, if the last validation isn't."""
        self._max_steps = trainer.max_steps
        if self._loaded is not None and self._loaded["validating"] and self._max_steps > 0:
            trainer.fit_loop.epoch_loop.max_steps = self._max_steps + 1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go to the checkpoint's position; from now on a signal waits for the end of a step."""
        if self._loaded is not None:
            set_position(trainer, self._loaded["batches"], self._loaded["validating"])
        best = self.folder / BEST
        if self.best is not None and not trainer.strategy.broadcast(best.exists()):
            self.best = None
            if trainer.is_global_zero:
                print(f"{best} is missing: the best from now on takes its place", flush=True)
        self._saved_step = trainer.global_step
        self._saved_time = self._started = self.clock()
        self.stop.install()
        self.stop.wait()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the end of the epoch before, when all its figures are logged."""
        batches = batches_done(trainer)
        # An epoch that is resumed, or whose validation is, has not ended.
        if batches and batches == trainer.current_epoch * int(trainer.num_training_batches):
            self._save(trainer, validating=False)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Between two optimizer steps: write if it is time, stop if a signal came."""
        self._end_validation()
        self._last_of_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if batch_idx % trainer.accumulate_grad_batches:
            return
        self._look()
        steps = trainer.global_step - self._saved_step
        due = self.every_steps is not None and steps >= self.every_steps
        if due or self._late or self._stopping:
            self._save(trainer, validating=False)
        if self._stopping:
            self._stop()

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Ask all ranks, while gradients are computed, what is to be done after this step."""
        if self._last_of_step:
            minutes = (self.clock() - self._saved_time) / 60
            late = self.every_minutes is not None and minutes >= self.every_minutes
            alarms = [watcher.alarm for watcher in self.watchers]
            self._agreement.ask(self.stop.name is not None, late, *alarms)

    def _look(self) -> None:
        """Read what the ranks answered; raise IrodoriError if a watcher has an alarm."""
        answer = self._agreement.answer()
        if answer:
            self._stopping, self._late, *alarms = answer
            self._report(alarms)

    def _report(self, alarms: Sequence[bool]) -> None:
        for watcher, alarm in zip(self.watchers, alarms, strict=True):
            if alarm:
                watcher.report()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is validated, so that a signal can stop the validation at once."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._validated_after = self._trained()
            self._look()
            self._save(trainer, validating=True)
        self.stop.install()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop if a signal came, or a watcher has an alarm."""
        alarms = [watcher.alarm for watcher in self.watchers]
        stop, *alarms = agree(self.stop.name is not None, *alarms)
        self._report(alarms)
        if stop:
            self._stop()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the seconds of training before this validation."""
        if trainer.state.fn == TrainerFn.FITTING:
            pl_module.log(SECONDS, self._trained())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the best checkpoint if it is one."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        score = trainer.callback_metrics[MONITOR].item()
        # Not a number beats nothing, and must not stay unbeaten.
        if not math.isnan(score) and (self.best is None or score < self.best):
            before, self.best = self.best, score
            if not self._write(trainer, self.folder / BEST):
                self.best = before
                if trainer.is_global_zero:
                    print(f"the best so far ({score:.2f}) isn't kept", flush=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restart the clock of training; restore the limit of steps, see `on_fit_start`."""
        self._end_validation()
        self._look()
        trainer.fit_loop.epoch_loop.max_steps = self._max_steps

    def _end_validation(self) -> None:
        """Restart the clock of training, when all callbacks are done with a validation."""
        if self._validated_after is not None:
            self._validations = self._elapsed() - self._validated_after
            self._validated_after = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the end of training, which must succeed.

        Raises:
            IrodoriError: it can't be written.
        """
        written = self._save(trainer, validating=False)
        self.seconds, self._started = self._elapsed(), None
        if not written:
            raise IrodoriError(
                f"the end of training can't be written to {self.folder / LAST}: make room, and"
                f" resume by: {resume_command(self.folder.parent)}"
            )

    def _stop(self) -> NoReturn:
        self.stop.name = self.stop.name or "a signal to another rank"
        raise Stopped

    def _save(self, trainer: Trainer, validating: bool) -> bool:
        """Write last.ckpt unless it is there already; return whether it is there now."""
        position = (batches_done(trainer), validating)
        if position == self._saved:
            return True
        for watcher in self.watchers:
            watcher.look()
        self._report(agree(*(watcher.alarm for watcher in self.watchers)))
        # A finite loss can have gradients that aren't; all ranks have the same weights.
        weights = trainer.lightning_module.parameters()
        if not torch.stack([weight.isfinite().all() for weight in weights]).all():
            raise IrodoriError(
                f"weights are no finite numbers any more after step {trainer.global_step}: lower"
                " optimizer.lr or set trainer.gradient_clip_val; the last checkpoint was written"
                " before"
            )
        before, self._saved = self._saved, position
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.save()
                self._rows = len(logger.rows)
        written = self._write(trainer, self.folder / LAST)
        if not written:
            self._saved = before
        self._saved_step, self._saved_time = trainer.global_step, self.clock()
        return written

    def _write(self, trainer: Trainer, path: Path) -> bool:
        """Write a checkpoint, or print that it can't be; return whether, the same on all ranks."""
        files = trainer.strategy.checkpoint_io
        assert isinstance(files, WholeFiles)
        trainer.save_checkpoint(path)
        if files.error is not None:
            kept = "the one before is kept" if path.exists() else "there is none yet"
            print(f"{path} can't be written: {files.error}; {kept}", flush=True)
        return not agree(files.error is not None)[0]
