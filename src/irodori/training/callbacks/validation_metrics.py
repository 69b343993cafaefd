"""The metrics of metrics.json: the model beside all-gray and mean-color pictures."""

from collections.abc import Sequence
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from irodori.metrics.catalog import AS_PREDICTED, METRICS, MetricInfo
from irodori.metrics.evaluation import Evaluation, Overall, Record, with_ab
from irodori.metrics.factories import Factories, default_metrics
from irodori.metrics.prior import AbPrior
from irodori.training.module import ColorizationModule
from irodori.training.ranks import gather

MODEL = "model"
REFERENCES = ("mean_color", "gray")


class ValidationMetrics(Callback):
    """Measures the model, and two references beside it, during `trainer.validate`.

    The reference pictures keep the photo's own L* and take one chrominance for all pixels: that of
    gray, and the mean a*b* of the *training* photographs. They do not depend on the model's color
    space. Where that has a luminance of its own to predict (RGB), a fourth row is the picture with
    this luminance left in it.

    Args:
        classes: names of the scenes.
        prior: what class-balanced AuC is weighted by.
        perceptual: LPIPS and distances of sets, too, where their weights are at hand.
        metrics: what is measured; all that irodori brings if None.

    Attributes:
        references: measure the references, too; they are the same for every checkpoint.
        overall, scenes, infos: see `Evaluation`, of the last validation.
        records: of all ranks, in the order of the photographs, row by row.
    """

    def __init__(
        self,
        classes: Sequence[str],
        prior: AbPrior,
        perceptual: bool = False,
        metrics: Factories | None = None,
    ) -> None:
        self.classes = classes
        self.prior = prior
        self.perceptual = perceptual
        self.metrics = default_metrics() if metrics is None else metrics
        self.references = True
        self.overall: Overall = {}
        self.scenes: dict[str, dict[str, Any]] = {}
        self.records: list[Record] = []
        self.infos: dict[str, MetricInfo] = METRICS

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start from nothing."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        assert isinstance(module, ColorizationModule)
        model = module.complete_model()
        self.mean_ab = model.mean_ab
        rows = [MODEL]
        if model.space.predicts_luminance:
            rows.append(MODEL + AS_PREDICTED)
        if self.references:
            rows += REFERENCES
        self._evaluation = Evaluation(
            rows, self.classes, self.metrics, module.device, self.prior, self.perceptual
        )

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch's photographs to the rows."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        for number, true in enumerate(outputs["true"]):
            key, label = outputs["keys"][number], outputs["labels"][number]
            logits_BC = outputs["logits"]
            logits_C = None if logits_BC is None else logits_BC[number]
            rows = {MODEL: outputs["colored"][number]}
            if outputs["as_predicted"] is not None:
                rows[MODEL + AS_PREDICTED] = outputs["as_predicted"][number]
            if self.references:
                rows["mean_color"] = with_ab(true, self.mean_ab)
                rows["gray"] = with_ab(true, (0.0, 0.0))
            for row, picture in rows.items():
                said = logits_C if row == MODEL else None
                self._evaluation.add(row, key, label, picture, true, said)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Gather the metrics of all ranks."""
        if trainer.state.fn != TrainerFn.VALIDATING:
            return
        self.overall = self._evaluation.overall()
        self.scenes = self._evaluation.scenes()
        self.infos = self._evaluation.infos
        # Ranks have stretches of the photographs, in their order.
        together = [record for part in gather(self._evaluation.records) for record in part]
        self.records = [r for row in self.overall for r in together if r["row"] == row]
