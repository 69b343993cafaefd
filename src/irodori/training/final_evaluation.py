"""Evaluation of a run's checkpoints at its end, beside two references."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn

from irodori.data.module import ShardData
from irodori.metrics.catalog import AS_PREDICTED, MAIN
from irodori.metrics.evaluation import Evaluation, with_ab
from irodori.metrics.factories import Factories
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import EvaluationResult
from irodori.runs.run import resume_command
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.pictures import Pictures
from irodori.training.module import ColorizationModule
from irodori.training.ranks import agree, gather
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing
from irodori.utils.model_file import stored
from irodori.utils.progress import Reporter, silent
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
    best_step, last_step = (stored(path)["global_step"] for path in (best_path, last_path))
    if trainer.strategy.broadcast(best_step == last_step):
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


def _copy(source: Path, target: Path) -> bool:
    """Copy a file atomically; return whether there was enough space."""
    try:
        with source.open("rb") as original, replacing(target) as file:
            shutil.copyfileobj(original, file)
    except OSError:
        return False
    return True


class ValidationMetrics(Callback):
    """Measures the model and two references during `trainer.validate`.

    The reference pictures have the photo's L* and a constant chrominance: gray, and the mean a*b*
    of the *training* photographs. They don't depend on the model's color space. If the model also
    predicts a luminance (RGB), a fourth row has the pictures with it.

    Args:
        classes: names of the scenes.
        prior: color frequencies for class-balanced AuC.
        metrics: factories of the metrics.
        perceptual: also measure LPIPS and set distances if their weights are available.
        report: is called with the number of evaluated photographs.

    Attributes:
        row: name of the model's row.
        references: whether to measure the references, which are the same for every checkpoint.
        result: result of the last validation, from all ranks.
    """

    def __init__(
        self,
        classes: Sequence[str],
        prior: AbPrior,
        metrics: Factories,
        perceptual: bool = False,
        report: Reporter = silent,
    ) -> None:
        self.classes = classes
        self.prior = prior
        self.metrics = metrics
        self.perceptual = perceptual
        self.report = report
        self.row = "model"
        self.references = True
        self.result = EvaluationResult()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Create a new evaluation."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        assert isinstance(pl_module, ColorizationModule)
        self._measured = 0
        self._report(trainer)
        model = pl_module.complete_model()
        self._constant = (
            {"mean_color": model.mean_ab, "gray": (0.0, 0.0)} if self.references else {}
        )
        own = [self.row, self.row + AS_PREDICTED] if model.space.predicts_luminance else [self.row]
        self._evaluation = Evaluation(
            [*own, *self._constant],
            self.classes,
            self.metrics,
            pl_module.device,
            self.prior,
            self.perceptual,
        )

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        """Add a batch's photographs to the rows."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        for number, true in enumerate(outputs["true"]):
            rows = {self.row: outputs["colored"][number]}
            if outputs["as_predicted"] is not None:
                rows[self.row + AS_PREDICTED] = outputs["as_predicted"][number]
            rows |= {row: with_ab(true, ab) for row, ab in self._constant.items()}
            key, label = outputs["keys"][number], outputs["labels"][number]
            for row, picture in rows.items():
                has_logits = row == self.row and outputs["logits"] is not None
                logits_C = outputs["logits"][number] if has_logits else None
                self._evaluation.add(row, key, label, picture, true, logits_C)
            self._measured += 1
            self._report(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the metrics of all ranks."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        evaluation = self._evaluation
        rows = evaluation.overall()
        # Ranks have contiguous parts of the photographs, in order.
        records = [record for part in gather(evaluation.records) for record in part]
        self.result = EvaluationResult(
            rows,
            evaluation.scenes(),
            [record for row in rows for record in records if record["row"] == row],
            evaluation.infos,
        )

    def _report(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            whose = "" if self.row == "model" else f" with the {self.row} checkpoint"
            total = -(-len(trainer.datamodule.val_index) // trainer.world_size)  # type: ignore[attr-defined]
            self.report(f"measuring photographs{whose}", self._measured, total)
