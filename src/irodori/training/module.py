"""The LightningModule: joint network, joint loss, and colouring of whole photographs."""

from typing import Any

import lightning
import torch
from lightning import LightningModule
from torch import Tensor
from torch.nn import ModuleDict
from torchmetrics import MeanMetric

import irodori
from irodori.config import OptimizerConfig
from irodori.inference.checkpoint import Model
from irodori.inference.coloring import color_pictures
from irodori.metrics import ChrominanceRMSE
from irodori.network.joint import reduce_chroma
from irodori.training.losses import chroma_mse, scene_cross_entropy
from irodori.training.optimizers import make_optimizer


class Colorization(LightningModule):
    """Trains a `JointNetwork` on mean squared error of chrominance + α · scene cross-entropy.

    Args:
        model: network, colour space, class names and α, the weight of the cross-entropy.
        optimizer: group optimizer.
    """

    def __init__(self, model: Model, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.model = model
        self.network = model.network
        self.optimizer_config = optimizer
        names = ["loss", "mse"]
        if self.network.classification is not None:
            names += ["cross_entropy", "accuracy"]
        self.train_means = ModuleDict({name: MeanMetric() for name in names})
        self.val_rmse = ChrominanceRMSE(len(model.classes))
        self.val_accuracy = MeanMetric()

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one micro-batch: luminance, chroma, labels, valid (see `ShardData`)."""
        predicted_BCHW, logits_BC = self.network(batch["luminance"])
        valid_B, labels_B = batch["valid"], batch["labels"]
        loss = mse = chroma_mse(predicted_BCHW, reduce_chroma(batch["chroma"]), valid_B)
        self._log("mse", mse * len(valid_B), valid_B.sum())
        if logits_BC is not None:
            cross_entropy = scene_cross_entropy(logits_BC, labels_B, valid_B)
            # Also with α = 0, so that under DDP every parameter takes part in the backward pass.
            loss = mse + self.model.alpha * cross_entropy
            known_B = valid_B & (labels_B >= 0)
            right_B = (logits_BC.argmax(1) == labels_B) & known_B
            self._log("cross_entropy", cross_entropy * len(valid_B), known_B.sum())
            self._log("accuracy", right_B.sum(), known_B.sum())
        self._log("loss", loss * len(valid_B), valid_B.sum())
        return loss

    def _log(self, name: str, total: Tensor, count: Tensor) -> None:
        """Log a mean over images: of the step on this rank, of the epoch over all ranks."""
        mean = total.detach() / count.clamp(min=1)
        metric = self.train_means[name]
        assert isinstance(metric, MeanMetric)
        metric.update(mean, weight=count)
        self.log(f"train/{name}_step", mean, on_step=True, on_epoch=False)
        self.log(f"train/{name}_epoch", metric, on_step=False, on_epoch=True)

    def validation_step(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Chrominance error and scene accuracy of whole photographs; invalid ones are left out.

        Returns:
            the coloured pictures (`colored`), the true ones (`true`), both 3×H×W uint8, and
            `labels`, for callbacks that look closer.
        """
        keep = batch["valid"].nonzero().flatten().tolist()
        images = [batch["images"][number] for number in keep]
        labels_B = batch["labels"][keep]
        colored, logits_BC = color_pictures(self.network, self.model.space, images)
        for predicted, true, label in zip(colored, images, labels_B.tolist(), strict=True):
            self.val_rmse.update(predicted, true, label)
        if logits_BC is not None and (labels_B >= 0).any():
            known_B = labels_B >= 0
            self.val_accuracy.update((logits_BC.argmax(1) == labels_B)[known_B].float())
        return {"colored": colored, "true": images, "labels": labels_B.tolist()}

    def on_validation_epoch_end(self) -> None:
        """Log `val/chroma_rmse` (ab units, protocol of `ChrominanceRMSE`) and `val/accuracy`."""
        self.log("val/chroma_rmse", self.val_rmse.compute().float())
        self.val_rmse.reset()
        accuracy = self.val_accuracy.compute()
        # Not a number where no photograph has a class; the same on every rank.
        if self.network.classification is not None and not accuracy.isnan():
            self.log("val/accuracy", accuracy)
        self.val_accuracy.reset()

    def configure_optimizers(self) -> Any:
        """See `make_optimizer`."""
        steps = int(self.trainer.estimated_stepping_batches)
        return make_optimizer(self.network, self.optimizer_config, steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Checkpoints describe themselves, with the versions they were made with."""
        versions = {
            "irodori": irodori.__version__,
            "torch": str(torch.__version__),
            "lightning": lightning.__version__,
        }
        checkpoint["irodori"] = {**self.model.describe(), "versions": versions}
