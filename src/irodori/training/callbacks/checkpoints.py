"""Writes last.ckpt, from which a run resumes exactly, and best.ckpt; stops on a signal."""

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
    """Keeps `last.ckpt` and `best.ckpt` of a run.

    The last one is written between two optimizer steps, every few steps and minutes, before
    each validation, after each epoch, at the end, and when a signal asks the run to stop. If a
    checkpoint can't be written, a line says so, and the one before stays.

    It has the run's clocks, too, which continue from a checkpoint: `seconds` of training with its
    validations, and `trained`, logged with each validation as `train/seconds`, without these and
    what is written with them, which take a slower network longer, too.

    Args:
        every_steps: optimizer steps between checkpoints; None for no such limit.
        every_minutes: time between checkpoints; None for no such limit.
        clock: returns seconds.
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
        """Advance the run's clocks; only between start and end of training."""
        if self._time is not None:
            now = self.clock()
            self.seconds += now - self._time
            self.trained += 0.0 if self._validating else now - self._time
            self._time = now

    def state_dict(self) -> dict[str, Any]:
        """Return position, best score, rows of metrics.csv, and the clocks."""
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
        """Continue from a checkpoint's state, but not when one is only validated."""
        if self._fitting:
            self._loaded = state_dict
            self._saved = (state_dict["batches"], state_dict["validating"])
            self._rows, self.best = state_dict["rows"], state_dict["best"]
            self.seconds, self.trained = state_dict["seconds"], state_dict["trained"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note whether this is training or a validation of its own; use rank 0's folder."""
        self._fitting = stage == "fit"
        folder = trainer.strategy.broadcast(trainer.default_root_dir)
        self.folder = Path(folder) / CHECKPOINTS
        self._watchers = [c for c in trainer.callbacks if isinstance(c, Watcher)]  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let Lightning begin, though all steps are done, if the last validation isn't."""
        self._max_steps = trainer.max_steps
        if self._loaded is not None and self._loaded["validating"] and self._max_steps > 0:
            trainer.fit_loop.epoch_loop.max_steps = self._max_steps + 1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move to the checkpoint's position; from now on a signal waits for the end of a step."""
        if self._loaded is not None:
            set_position(trainer, self._loaded["batches"], self._loaded["validating"])
        best = self.folder / BEST
        if self.best is not None and not trainer.strategy.broadcast(best.exists()):
            self.best = None
            if trainer.is_global_zero:
                print(f"{best} is missing: the best from now on takes its place", flush=True)
        self._time = self.clock()
        self._saved_step, self._saved_time = trainer.global_step, self._time
        self.stop.install()
        self.stop.wait()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the end of the epoch before, when all its metrics are logged."""
        batches = batches_done(trainer)
        # An epoch that is resumed, or whose validation is, has not ended.
        if batches and batches == trainer.current_epoch * int(trainer.num_training_batches):
            self._save(trainer, validating=False)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Write if it is time and stop if a signal came, between two optimizer steps."""
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
        """Write what is validated, so that a signal can stop the validation at once."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._tick()
            self._validating = True
            self._save(trainer, validating=True)
        self.stop.install()

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """Stop if a signal came, or a watcher has a problem."""
        if self._agree(self.stop.name is not None)[0]:
            self._stop()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the seconds of training before this validation."""
        if trainer.state.fn == TrainerFn.FITTING:
            pl_module.log(SECONDS, self.trained)

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
        """Restore the limit of steps, see `on_fit_start`."""
        self._end_validation()
        self._agree()
        trainer.fit_loop.epoch_loop.max_steps = self._max_steps

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the end of training, or raise IrodoriError."""
        written = self._save(trainer, validating=False)
        self._tick()
        self._time = None
        if not written:
            raise IrodoriError(
                f"the end of training can't be written to {self.folder / LAST}: make room, and"
                f" resume by: {resume_command(self.folder.parent)}"
            )

    def _end_validation(self) -> None:
        """Start the clock of training again when all callbacks are done with a validation."""
        self._tick()
        self._validating = False

    def _agree(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any rank has set it; raise IrodoriError for a problem."""
        problems = [watcher.problem for watcher in self._watchers]
        problem, *answers = agree(any(problems), *flags)
        if problem:
            raise_problems(problems)
        return answers

    def _stop(self) -> NoReturn:
        self.stop.name = self.stop.name or "a signal to another rank"
        raise Stopped

    def _save(self, trainer: Trainer, validating: bool) -> bool:
        """Write last.ckpt unless it is there already; return whether it is there now."""
        position = (batches_done(trainer), validating)
        if position == self._saved:
            return True
        for watcher in self._watchers:
            watcher.look()
        self._agree()
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


def batches_done(trainer: Trainer) -> int:
    """Return the micro-batches that this rank has done since the start of the run."""
    return int(trainer.fit_loop.epoch_loop.batch_progress.total.completed)


def set_position(trainer: Trainer, batches: int, validating: bool) -> None:
    """Set the loops to a position, counted as `batches_done` does; for `on_train_start`.

    Lightning's own counters in a checkpoint depend on the hook it was written in, and not every
    hook can be resumed from: rows that are logged after it, or a validation that is due, would be
    left out. The epoch of the position is continued: `on_train_epoch_start` is called again.
    `validating`: the validation after these batches is still to come.
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
    # An epoch that is continued keeps its count of batches only if its loop is "restarting".
    fit.restarting = False
    epoch_loop.restarting = done > 0
    if validating:
        # The state of a validation that stopped in its first batch: it is run from its start.
        epoch_loop.val_loop.batch_progress.total.ready = 1
        epoch_loop.val_loop.batch_progress.total.started = 1  # type: ignore[attr-defined]
    fit.update_restart_stage()
    epoch_loop.val_loop.batch_progress.reset()


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it; a failure leaves the one before.

    Attributes:
        error: why the last checkpoint could not be written, None if it was. It isn't raised, since
            only one rank writes, and the others wait for it.
    """

    error: str | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, or set `error`."""
        # First into memory: torch ends the process if a file can't take what it writes.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self.error = None
        try:
            with replacing(Path(path)) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            self.error = error.strerror or one_line(error)
