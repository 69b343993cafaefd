"""The figures of a run's checkpoints, at its end."""

import shutil
from pathlib import Path

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging

from irodori.data.files import replacing
from irodori.data.module import ShardData
from irodori.errors import IrodoriError
from irodori.metrics.catalog import MAIN
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.pictures import Pictures
from irodori.training.callbacks.scores import MODEL, Scores
from irodori.training.figures import Judged
from irodori.training.module import Colorization
from irodori.training.ranks import agree
from irodori.training.run_folder import BEST, LAST, command

ROUNDING = 1e-6
"""By so much the same weights' figure may differ between two sums."""


def evaluate(trainer: Trainer, module: Colorization, data: ShardData, checkpoints: Path) -> Judged:
    """The validation figures of the best and the last checkpoint, and of the references.

    Raises:
        IrodoriError: a checkpoint can't be written.
    """
    # At its end a validation would bring back the weights that aren't averaged; checkpoints hold
    # the average.
    trainer.callbacks = [  # type: ignore[attr-defined]
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if not isinstance(callback, EMAWeightAveraging)
    ]
    last = validate(trainer, module, data, checkpoints / LAST).renamed(MODEL, "last")
    best_path = checkpoints / BEST
    kept = next(c for c in trainer.callbacks if isinstance(c, Checkpoints))  # type: ignore[attr-defined]
    # Steps may end within an epoch, and then the last weights weren't validated in training.
    beaten = kept.best is None or last.rows["last"][MAIN] < kept.best - ROUNDING
    # Rank 0 decides: it may have written the file before another rank looks.
    if trainer.strategy.broadcast(beaten or not best_path.exists()):
        failed = trainer.is_global_zero and not copied(checkpoints / LAST, best_path)
        if agree(failed)[0]:
            raise IrodoriError(
                f"{best_path} can't be written: make room, and go on with:"
                f" {command(checkpoints.parent)}"
            )
    if trainer.strategy.broadcast(step_of(best_path) == step_of(checkpoints / LAST)):
        best = last.only("last").renamed("last", "best")
    else:
        scores_of(trainer).references = False
        best = validate(trainer, module, data, best_path).renamed(MODEL, "best")
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Pictures):
            callback.write(trainer, module, "best.png")
    return best + last


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint was written after."""
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(stored["global_step"])


def copied(one: Path, other: Path) -> bool:
    """Copy a file, whole or not at all; whether there was room for it."""
    try:
        with one.open("rb") as source, replacing(other) as file:
            shutil.copyfileobj(source, file)
    except OSError:
        return False
    return True


def validate(trainer: Trainer, module: Colorization, data: ShardData, checkpoint: Path) -> Judged:
    """What `Scores` has of a checkpoint."""
    trainer.validate(module, data, ckpt_path=str(checkpoint), verbose=False)
    scores = scores_of(trainer)
    return Judged(scores.overall, scores.scenes, scores.records, scores.infos)


def scores_of(trainer: Trainer) -> Scores:
    """The trainer's callback that measures."""
    return next(c for c in trainer.callbacks if isinstance(c, Scores))  # type: ignore[attr-defined]
