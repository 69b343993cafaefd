"""The LightningModule: joint network, joint loss, and colouring of whole photographs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import lightning
import torch
from lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer
from torchmetrics import MeanMetric

import irodori
from irodori.config import BackboneConfig, OptimizerConfig
from irodori.metrics import ChrominanceRMSE
from irodori.model import Model, color_pictures
from irodori.network.joint import reduce_chroma
from irodori.training.losses import scene_cross_entropy
from irodori.training.objectives import Objective
from irodori.training.optimizers import configured, make_optimizer, parameter_groups


class Learning(NamedTuple):
    """How a network learns."""

    objective: Objective
    optimizer: OptimizerConfig
    backbone: BackboneConfig
    recompute: bool
    """See `recomputing`."""
    compile: str | None
    """See `TrainerConfig`."""


class Colorization(LightningModule):
    """Trains a `JointNetwork` on an objective of its colours + α · scene cross-entropy.

    Args:
        model: network, colour space, class names and α, the weight of the cross-entropy.
        learning: None where nothing is trained.
        beginning: lines that say what the weights begin with.
    """

    def __init__(
        self, model: Model, learning: Learning | None = None, beginning: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.model = model
        self.network = model.network
        if learning is not None:
            self.objective = learning.objective
            self.optimizer_config = learning.optimizer
            self.backbone_config = learning.backbone
            self.predict = self.network.predict
            if learning.compile:
                self.predict = torch.compile(self.network.predict, mode=learning.compile)
        self.beginning = beginning
        self.val_rmse = ChrominanceRMSE(0)
        self.val_accuracy = MeanMetric()

    def training_step(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Loss of one micro-batch: luminance, chroma, labels, valid (see `ShardData`).

        Returns:
            `loss`, and `sums`: for each figure its sum over images and the number of these.
        """
        prediction_BQHW, logits_BC = self.predict(batch["luminance"])
        valid_B, labels_B = batch["valid"], batch["labels"]
        loss = colors = self.objective(prediction_BQHW, reduce_chroma(batch["chroma"]), valid_B)
        images = valid_B.sum()
        sums = {self.objective.name: (colors.detach() * len(valid_B), images)}
        if logits_BC is not None:
            cross_entropy = scene_cross_entropy(logits_BC, labels_B, valid_B)
            # Also with α = 0, so that under DDP every parameter takes part in the backward pass.
            loss = colors + self.model.alpha * cross_entropy
            known_B = valid_B & (labels_B >= 0)
            right_B = (logits_BC.argmax(1) == labels_B) & known_B
            sums["cross_entropy"] = (cross_entropy.detach() * len(valid_B), known_B.sum())
            sums["accuracy"] = (right_B.sum(), known_B.sum())
        sums["loss"] = (loss.detach() * len(valid_B), images)
        return {"loss": loss, "sums": sums}

    def validation_step(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Chrominance error and scene accuracy of whole photographs; invalid ones are left out.

        Returns:
            for callbacks that look closer, of each valid photograph: the coloured picture
            (`colored`), the true one (`true`), both 3×H×W uint8, `labels`, `keys` and `logits`
            (N×num_classes, or None); and `as_predicted`, the coloured picture with the luminance
            that the network says, None but in `trainer.validate` and RGB.
        """
        keep = batch["valid"].nonzero().flatten().tolist()
        images = [batch["images"][number] for number in keep]
        labels_B = batch["labels"][keep]
        colored, logits_BC = color_pictures(self.network, self.model.space, images)
        for predicted, true in zip(colored, images, strict=True):
            self.val_rmse.update(predicted, true)
        if logits_BC is not None and (labels_B >= 0).any():
            known_B = labels_B >= 0
            self.val_accuracy.update((logits_BC.argmax(1) == labels_B)[known_B].float())
        as_predicted: list[Tensor] | None = None
        if self.model.space.predicts_luminance and self.trainer.validating:
            as_predicted = color_pictures(
                self.network, self.model.space, images, own_luminance=False
            )[0]
        return {
            "colored": colored,
            "as_predicted": as_predicted,
            "true": images,
            "labels": labels_B.tolist(),
            "keys": [batch["keys"][number] for number in keep],
            "logits": logits_BC,
        }

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
        return make_optimizer(self.network, self.optimizer_config, self.backbone_config, steps)

    def on_train_start(self) -> None:
        """Settings may have changed since the checkpoint that the optimizer was loaded from."""
        groups = parameter_groups(self.network, self.optimizer_config, self.backbone_config)
        configured(self.trainer.optimizers[0], self.lr_schedulers(), groups)  # type: ignore[arg-type]

    @property
    def encoder_frozen(self) -> bool:
        """Whether the next step leaves the encoder as it is."""
        return self.trainer.global_step < self.backbone_config.freeze_steps

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Batch norms of an encoder keep their statistics while it is frozen, or always."""
        backbone = self.network.backbone
        backbone.freeze_batch_norm(self.encoder_frozen or self.backbone_config.freeze_batch_norm)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Without gradients an optimizer passes over weights, and so does clipping.

        Gradients are still computed: under DDP all ranks wait for those of every weight.
        """
        if self.encoder_frozen:
            for weight in self.network.backbone.encoder_parameters():
                weight.grad = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Checkpoints describe themselves, with the versions they were made with."""
        versions = {
            "irodori": irodori.__version__,
            "torch": str(torch.__version__),
            "lightning": lightning.__version__,
        }
        checkpoint["irodori"] = {
            **self.model.describe(),
            "versions": versions,
            "began_with": list(self.beginning),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What is gone on with began as it did, see `begin`."""
        self.beginning = checkpoint["irodori"].get("began_with", self.beginning)
