"""Measuring the metrics of metrics.json for the model and two references."""

from collections.abc import Sequence
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from irodori.metrics.catalog import AS_PREDICTED
from irodori.metrics.evaluation import Evaluation, with_ab
from irodori.metrics.factories import Factories
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import EvaluationResult
from irodori.training.module import ColorizationModule
from irodori.training.ranks import gather
from irodori.utils.progress import Reporter, silent


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
