"""The metrics of a run's checkpoints, at its end."""

import shutil
from pathlib import Path
from typing import TypeVar

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging

from irodori.data.module import ShardData
from irodori.metrics.catalog import MAIN
from irodori.metrics.results import EvaluationResult
from irodori.runs.run import resume_command
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.pictures import Pictures
from irodori.training.callbacks.validation_metrics import ValidationMetrics
from irodori.training.module import ColorizationModule
from irodori.training.ranks import agree
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing
from irodori.utils.run_files import BEST, LAST

Kind = TypeVar("Kind", bound=Callback)
ROUNDING = 1e-6
"""Largest difference of the metric of the same weights between two sums."""


def callback_of(trainer: Trainer, kind: type[Kind]) -> Kind:
    """Return the trainer's callback of a kind."""
    return next(c for c in trainer.callbacks if isinstance(c, kind))  # type: ignore[attr-defined]


def evaluate_checkpoints(
    trainer: Trainer, module: ColorizationModule, data: ShardData, checkpoints: Path
) -> EvaluationResult:
    """Return the validation metrics of the best and the last checkpoint, and of the references.

    Without any validation (`limit_val_batches=0`) there are none, and no best checkpoint.
    """
    # At its end a validation would bring back the weights that aren't averaged; checkpoints hold
    # the average.
    trainer.callbacks = [  # type: ignore[attr-defined]
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if not isinstance(callback, EMAWeightAveraging)
    ]
    metrics, kept = callback_of(trainer, ValidationMetrics), callback_of(trainer, Checkpoints)
    last_path, best_path = checkpoints / LAST, checkpoints / BEST

    def validate(row: str, checkpoint: Path) -> EvaluationResult:
        metrics.row = row
        trainer.validate(module, data, ckpt_path=str(checkpoint), verbose=False, weights_only=True)
        return metrics.result

    last = validate("last", last_path)
    if not last.rows:
        return last
    # Steps may end within an epoch, and then the last weights weren't validated in training.
    better = kept.best is None or last.rows["last"][MAIN] < kept.best - ROUNDING
    # Rank 0 decides: it may have written the file before another rank looks.
    if trainer.strategy.broadcast(better or not best_path.exists()):
        failed = trainer.is_global_zero and not _copy(last_path, best_path)
        if agree(failed)[0]:
            raise IrodoriError(
                f"{best_path} can't be written: make room, and resume by:"
                f" {resume_command(checkpoints.parent)}"
            )
    if trainer.strategy.broadcast(_step_of(best_path) == _step_of(last_path)):
        best = last.renamed("last", "best")
    else:
        metrics.references = False
        # A step has one validation in the logs: the last checkpoint's.
        loggers, trainer.loggers = trainer.loggers, []
        best = validate("best", best_path)
        trainer.loggers = loggers
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Pictures):
            callback.write(trainer, module, "best.png")
    return best + last


def _step_of(checkpoint: Path) -> int:
    """Return the optimizer step that a checkpoint was written after."""
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(stored["global_step"])


def _copy(source: Path, target: Path) -> bool:
    """Copy a file, whole or not at all; return whether there was room for it."""
    try:
        with source.open("rb") as original, replacing(target) as file:
            shutil.copyfileobj(original, file)
    except OSError:
        return False
    return True
