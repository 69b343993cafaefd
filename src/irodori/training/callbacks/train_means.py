"""Logs the training losses: of the step on this rank, and of the epoch over all ranks."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from torchmetrics import MeanMetric

from irodori.training.ranks import gather, mine


class TrainMeans(Callback):
    """Means over images of what `Colorization.training_step` gives as `sums`.

    An epoch's means go on exactly after an interruption; with another number of ranks the first
    one takes over what all had summed.
    """

    def __init__(self) -> None:
        self.means: dict[str, MeanMetric] = {}
        self._loaded: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """The sums and the weights of every rank."""
        sums = {
            name: (mean.mean_value.item(), mean.weight.item()) for name, mean in self.means.items()
        }
        return {"ranks": gather(sums)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the sums until training starts."""
        self._loaded = state_dict["ranks"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the sums."""
        sums = mine(self._loaded)
        if sums is None and trainer.is_global_zero:
            names = self._loaded[0] if self._loaded else {}
            sums = {
                name: tuple(map(sum, zip(*(rank[name] for rank in self._loaded), strict=True)))
                for name in names
            }
        for name, (value, weight) in (sums or {}).items():
            mean = self._mean(name, pl_module)
            mean.mean_value.fill_(value)
            mean.weight.fill_(weight)

    def _mean(self, name: str, module: LightningModule) -> MeanMetric:
        if name not in self.means:
            self.means[name] = MeanMetric().to(module.device)
        return self.means[name]

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add a micro-batch, and log its means."""
        for name, (total, count) in outputs["sums"].items():
            mean = total / count.clamp(min=1)
            self._mean(name, pl_module).update(mean, weight=count)
            pl_module.log(f"train/{name}_step", mean, on_step=True, on_epoch=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's means."""
        for name, mean in self.means.items():
            pl_module.log(f"train/{name}_epoch", mean.compute())
            mean.reset()
