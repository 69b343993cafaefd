"""Writing last.ckpt, from which a run resumes exactly, and best.ckpt; stopping on signals."""

import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from irodori.config.ranges import Range
from irodori.runs.run import resume_command
from irodori.training.callbacks.watchers import Watcher, raise_problems
from irodori.training.loggers import MetricsCSV
from irodori.training.ranks import agree
from irodori.training.settings import MONITOR
from irodori.training.stopping import Stopped, StopSignal
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing
from irodori.utils.run_files import BEST, CHECKPOINTS, LAST

SECONDS = "train/seconds"


class Checkpoints(Callback):
    """Writes `last.ckpt` and `best.ckpt` of a run, and stops it on a signal.

    `last.ckpt` is written between two optimizer steps, at intervals of steps and minutes, before
    each validation, after each epoch, at the end, and when a signal stops the run. If a checkpoint
    can't be written, a message is printed and the previous one is kept.

    The callback also measures times, which continue from a checkpoint: `seconds` of training
    including validations, and `trained` without validations and their output, logged with each
    validation as `train/seconds`.

    Args:
        every_steps: optimizer steps between checkpoints; None for no limit.
        every_minutes: minutes between checkpoints; None for no limit.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        every_steps: Annotated[int, Range(min=1)] | None = 1000,
        every_minutes: Annotated[float, Range(min=0)] | None = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.clock = clock
        self.stop = StopSignal()
        self.folder = Path()
        self.best: float | None = None
        self.seconds = self.trained = 0.0
        self._time: float | None = None
        self._validating = self._fitting = False
        self._watchers: list[Watcher] = []
        self._loaded: dict[str, Any] | None = None
        self._max_steps = -1
        self._rows = 0
        self._saved = (0, False)
        self._saved_step, self._saved_time = 0, clock()

    def _tick(self) -> None:
        """Advance the clocks, only during training."""
        if self._time is not None:
            now = self.clock()
            self.seconds += now - self._time
            self.trained += 0.0 if self._validating else now - self._time
            self._time = now

    def state_dict(self) -> dict[str, Any]:
        """Return position, best score, number of rows in metrics.csv, and clocks."""
        self._tick()
        return {
            "batches": self._saved[0],
            "validating": self._saved[1],
            "best": self.best,
            "rows": self._rows,
            "seconds": self.seconds,
            "trained": self.trained,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint's state, except for a separate validation."""
        if self._fitting:
            self._loaded = state_dict
            self._saved = (state_dict["batches"], state_dict["validating"])
            self._rows, self.best = state_dict["rows"], state_dict["best"]
            self.seconds, self.trained = state_dict["seconds"], state_dict["trained"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Record whether this is training or a separate validation; use rank 0's folder."""
        self._fitting = stage == "fit"
        folder = trainer.strategy.broadcast(trainer.default_root_dir)
        self.folder = Path(folder) / CHECKPOINTS
        self._watchers = [c for c in trainer.callbacks if isinstance(c, Watcher)]  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let Lightning start if all steps are done but the last validation isn't."""
        self._max_steps = trainer.max_steps
        if self._loaded is not None and self._loaded["validating"] and self._max_steps > 0:
            trainer.fit_loop.epoch_loop.max_steps = self._max_steps + 1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move to the checkpoint's position; from now on, signals take effect after a step."""
        if self._loaded is not None:
            set_position(trainer, self._loaded["batches"], self._loaded["validating"])
        best = self.folder / BEST
        if self.best is not None and not trainer.strategy.broadcast(best.exists()):
            self.best = None
            if trainer.is_global_zero:
                print(f"{best} is missing: the next validation replaces it", flush=True)
        self._time = self.clock()
        self._saved_step, self._saved_time = trainer.global_step, self._time
        self.stop.install()
        self.stop.wait()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a checkpoint of the previous epoch's end, once all its metrics are logged."""
        batches = batches_done(trainer)
        # Not if the epoch or its validation is resumed.
        if batches and batches == trainer.current_epoch * int(trainer.num_training_batches):
            self._save(trainer, validating=False)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Between two optimizer steps, write a checkpoint if due, and stop on a signal."""
        self._end_validation()
        if batch_idx % trainer.accumulate_grad_batches:
            return
        minutes = (self.clock() - self._saved_time) / 60
        late = self.every_minutes is not None and minutes >= self.every_minutes
        stop, late = self._agree(self.stop.name is not None, late)
        steps = trainer.global_step - self._saved_step
        due = self.every_steps is not None and steps >= self.every_steps
        if due or late or stop:
            self._save(trainer, validating=False)
        if stop:
            self._stop()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a checkpoint before validation, so that a signal can stop it at once."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._tick()
            self._validating = True
            self._save(trainer, validating=True)
        self.stop.install()

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """Stop on a signal or a watcher's problem."""
        if self._agree(self.stop.name is not None)[0]:
            self._stop()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the training time before this validation."""
        if trainer.state.fn == TrainerFn.FITTING:
            pl_module.log(SECONDS, self.trained)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write best.ckpt if the score is the best so far."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        score = trainer.callback_metrics[MONITOR].item()
        # NaN must never become or stay the best score.
        if not math.isnan(score) and (self.best is None or score < self.best):
            before, self.best = self.best, score
            if not self._write(trainer, self.folder / BEST):
                self.best = before
                if trainer.is_global_zero:
                    print(f"the best checkpoint so far ({score:.2f}) isn't saved", flush=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the limit of steps; see `on_fit_start`."""
        self._end_validation()
        self._agree()
        trainer.fit_loop.epoch_loop.max_steps = self._max_steps

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the final checkpoint, or raise IrodoriError."""
        written = self._save(trainer, validating=False)
        self._tick()
        self._time = None
        if not written:
            raise IrodoriError(
                f"the final checkpoint can't be written to {self.folder / LAST}: free space, and"
                f" resume with: {resume_command(self.folder.parent)}"
            )

    def _end_validation(self) -> None:
        """Restart the training clock once all callbacks have finished a validation."""
        self._tick()
        self._validating = False

    def _agree(self, *flags: bool) -> list[bool]:
        """Return whether any rank has set each flag; raise IrodoriError for a watcher's problem."""
        problems = [watcher.problem for watcher in self._watchers]
        problem, *answers = agree(any(problems), *flags)
        if problem:
            raise_problems(problems)
        return answers

    def _stop(self) -> NoReturn:
        self.stop.name = self.stop.name or "a signal to another rank"
        raise Stopped

    def _save(self, trainer: Trainer, validating: bool) -> bool:
        """Write last.ckpt unless it is up to date; return whether it is up to date now."""
        position = (batches_done(trainer), validating)
        if position == self._saved:
            return True
        for watcher in self._watchers:
            watcher.look()
        self._agree()
        # A finite loss can have non-finite gradients; a rank may have only a part of the weights.
        weights = trainer.lightning_module.parameters()
        finite = torch.stack([weight.isfinite().all() for weight in weights]).all()
        if agree(not finite)[0]:
            raise IrodoriError(
                f"weights are not finite after step {trainer.global_step}: lower"
                " optimizer.lr or set trainer.gradient_clip_val; the last checkpoint was written"
                " before"
            )
        before, self._saved = self._saved, position
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.write()
                self._rows = len(logger.rows)
        written = self._write(trainer, self.folder / LAST)
        if not written:
            self._saved = before
        self._saved_step, self._saved_time = trainer.global_step, self.clock()
        return written

    def _write(self, trainer: Trainer, path: Path) -> bool:
        """Write a checkpoint; return success, the same on all ranks."""
        files = trainer.strategy.checkpoint_io
        assert isinstance(files, AtomicCheckpointIO)
        trainer.save_checkpoint(path)
        return not agree(files.error is not None)[0]


def batches_done(trainer: Trainer) -> int:
    """Return the number of micro-batches of this rank since the start of the run."""
    return int(trainer.fit_loop.epoch_loop.batch_progress.total.completed)


def set_position(trainer: Trainer, batches: int, validating: bool) -> None:
    """Set Lightning's loops to a position as in `batches_done`; for `on_train_start`.

    Lightning's counters in a checkpoint depend on the hook in which it was written, and resuming
    from some hooks would skip rows logged after it, or a due validation. The epoch of the position
    is continued: `on_train_epoch_start` is called again. `validating`: whether the validation after
    these batches remains to be done.
    """
    fit, epoch_loop = trainer.fit_loop, trainer.fit_loop.epoch_loop
    epochs, done = divmod(batches, int(trainer.num_training_batches))
    at_end = validating and done == 0
    if at_end:
        epochs, done = epochs - 1, int(trainer.num_training_batches)
    for counter, count in (
        (fit.epoch_progress.total, epochs),
        (fit.epoch_progress.current, epochs),
        (epoch_loop.batch_progress.total, batches),
        (epoch_loop.batch_progress.current, done),
    ):
        counter.reset()
        counter.increment_by(count)
    epoch_loop.batch_progress.is_last_batch = at_end
    epoch_loop.val_loop.batch_progress.reset()
    # A continued epoch keeps its count of batches only if its loop is "restarting".
    fit.restarting = False
    epoch_loop.restarting = done > 0
    if validating:
        # The state of a validation that was stopped in its first batch and is repeated.
        epoch_loop.val_loop.batch_progress.total.ready = 1
        epoch_loop.val_loop.batch_progress.total.started = 1  # type: ignore[attr-defined]
    fit.update_restart_stage()
    epoch_loop.val_loop.batch_progress.reset()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file and renames it; a failure keeps the previous one.

    A failure is printed, whichever callback asked for the checkpoint.

    Attributes:
        error: why the last checkpoint could not be written; None if it was. It isn't raised, since
            only one rank writes while the others wait.
    """

    error: str | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, or set `error` and print it."""
        # First to memory, since torch aborts the process if writing to a file fails.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self.error = None
        try:
            with replacing(Path(path)) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            self.error = error.strerror or one_line(error)
            kept = "the previous one is kept" if Path(path).exists() else "there is none yet"
            print(f"{path} can't be written: {self.error}; {kept}", flush=True)

    def remove_checkpoint(self, path: _PATH) -> None:
        """Remove a checkpoint, unless the one that replaces it couldn't be written."""
        if self.error is None:
            super().remove_checkpoint(path)
