"""Evaluation of a run's checkpoints at its end."""

import shutil
from pathlib import Path
from typing import TypeVar

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import WeightAveraging

from irodori.data.module import ShardData
from irodori.metrics.catalog import MAIN
from irodori.metrics.results import EvaluationResult
from irodori.runs.folder import resume_command
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
"""Tolerance of the metric for the same weights, due to the order of summation."""


def callback_of(trainer: Trainer, kind: type[Kind]) -> Kind:
    """Return the trainer's callback of a class."""
    return next(c for c in trainer.callbacks if isinstance(c, kind))  # type: ignore[attr-defined]


def evaluate_checkpoints(
    trainer: Trainer, module: ColorizationModule, data: ShardData, checkpoints: Path
) -> EvaluationResult:
    """Return the validation metrics of the best and last checkpoints and of the references.

    Without validation (`limit_val_batches=0`), there are neither metrics nor a best checkpoint.
    """
    # At its end, a validation would restore the weights without averaging; checkpoints contain the
    # averaged ones.
    trainer.callbacks = [  # type: ignore[attr-defined]
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if not isinstance(callback, WeightAveraging)
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
    # If training ends within an epoch, the last weights were not validated.
    better = kept.best is None or last.rows["last"][MAIN] < kept.best - ROUNDING
    # Rank 0 decides, since it may write the file before another rank checks.
    if trainer.strategy.broadcast(better or not best_path.exists()):
        failed = trainer.is_global_zero and not _copy(last_path, best_path)
        if agree(failed)[0]:
            raise IrodoriError(
                f"{best_path} can't be written: free space, and resume with:"
                f" {resume_command(checkpoints.parent)}"
            )
    if trainer.strategy.broadcast(_step_of(best_path) == _step_of(last_path)):
        best = last.renamed("last", "best")
    else:
        metrics.references = False
        # Only one validation is logged per step: that of the last checkpoint.
        loggers, trainer.loggers = trainer.loggers, []
        best = validate("best", best_path)
        trainer.loggers = loggers
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Pictures):
            callback.write(trainer, module, "best.png")
    return best + last


def _step_of(checkpoint: Path) -> int:
    """Return the optimizer step of a checkpoint."""
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(stored["global_step"])


def _copy(source: Path, target: Path) -> bool:
    """Copy a file atomically; return whether there was enough space."""
    try:
        with source.open("rb") as original, replacing(target) as file:
            shutil.copyfileobj(original, file)
    except OSError:
        return False
    return True
