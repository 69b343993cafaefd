"""The LightningModule: training with a joint loss, and validation on whole photographs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import lightning
import torch
from lightning import LightningModule
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch import Tensor, distributed
from torch.optim import Optimizer
from torchmetrics import MeanMetric

import irodori
from irodori.metrics.chrominance import ChrominanceRMSE
from irodori.model import Model, color_pictures
from irodori.training.objectives import Objective, ObjectiveInput, scene_cross_entropy
from irodori.training.optimizers import (
    MakeOptimizer,
    MakeScheduler,
    parameter_groups,
    reconfigure,
    remember_settings,
    schedule,
    settings_of,
)
from irodori.training.ranks import is_distributed
from irodori.training.settings import MONITOR, EncoderTraining


class ColorizationModule(LightningModule):
    """Trains a `JointNetwork` with the loss: objective + α · scene cross-entropy.

    For validation, only `model` is needed.

    Args:
        model: network, color space, class names and α, the weight of the cross-entropy.
        objective: loss of the colors.
        optimizer: creates the optimizer from parameter groups.
        scheduler: creates the learning rate schedule of an optimizer.
        encoder: settings of the encoder's training.
        compile_mode: mode of torch.compile for training; None for eager mode.
        initialized_from: messages about the initialization of weights.
        mean_ab: computes `Model.mean_ab`; None if the model already has it.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective | None = None,
        optimizer: MakeOptimizer | None = None,
        scheduler: MakeScheduler | None = None,
        encoder: EncoderTraining | None = None,
        compile_mode: str | None = None,
        initialized_from: Sequence[str] = (),
        mean_ab: Callable[[], tuple[float, float]] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.network = model.network
        self.objective = objective
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.encoder = encoder or EncoderTraining()
        network = self.network
        self.predict: Callable[..., Any]
        self.predict = network.predict_both if network.hint_channels else network.predict
        if compile_mode is not None:
            self.predict = torch.compile(self.predict, mode=compile_mode)
        self.initialized_from = initialized_from
        self.mean_ab = mean_ab
        self.val_rmse = ChrominanceRMSE(0)
        self.val_accuracy = MeanMetric()

    def training_step(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Return `loss` of a micro-batch, and `sums`: sum and number of images for each metric.

        A batch has luminance, chroma, labels, valid and optionally hints, see `ShardData`. All
        values stay on the device. Hint propagation is trained separately, without influence on the
        rest.
        """
        assert self.objective is not None
        hinted_RQHW: Tensor | None = None
        if "hints" in batch:
            prediction_BQHW, hinted_RQHW, logits_BC = self.predict(
                batch["luminance"], batch["hints"], batch["hinted"]
            )
        else:
            prediction_BQHW, logits_BC = self.predict(batch["luminance"])
        valid_B, labels_B = batch["valid"], batch["labels"]
        inputs = ObjectiveInput(
            prediction_BQHW,
            batch["chroma"],
            batch["luminance"],
            logits_BC,
            labels_B,
            valid_B,
            self.network.output,
            self.model.space,
        )
        loss = colors = self.objective(inputs)
        images = valid_B.sum()
        sums = {self.objective.name: (colors.detach() * len(valid_B), images)}
        if hinted_RQHW is not None:
            some = inputs.of(batch["hinted"], hinted_RQHW)
            hinted = self.objective(some)
            loss = colors + hinted
            sums["hinted"] = (hinted.detach() * len(some.valid_B), some.valid_B.sum())
        if logits_BC is not None:
            cross_entropy = scene_cross_entropy(logits_BC, labels_B, valid_B)
            # Also with α = 0, since DDP requires gradients of every parameter.
            loss = loss + self.model.alpha * cross_entropy
            known_B = valid_B & (labels_B >= 0)
            right_B = (logits_BC.argmax(1) == labels_B) & known_B
            sums["cross_entropy"] = (cross_entropy.detach() * len(valid_B), known_B.sum())
            sums["accuracy"] = (right_B.sum(), known_B.sum())
        sums["loss"] = (loss.detach() * len(valid_B), images)
        return {"loss": loss, "sums": sums}

    def on_validation_epoch_start(self) -> None:
        """Broadcast the first rank's buffers, after weight averaging.

        In training, DDP does this before every step, but after the last step, running statistics
        differ between ranks, and a photograph's metrics would depend on its rank.
        """
        if is_distributed():
            for buffer in self.buffers():
                distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Colorize whole photographs and accumulate their errors; invalid ones are skipped.

        Returns:
            For callbacks, entries for each valid photograph: `colored` and `true` (3×H×W uint8),
                `labels`, `keys` and `logits` (N×num_classes, or None); and `as_predicted`, the
                colorized pictures with predicted luminance (None except in `trainer.validate` with
                RGB).
        """
        keep = batch["valid"].nonzero().flatten().tolist()
        images = [batch["images"][number] for number in keep]
        labels_B = batch["labels"][keep]
        network, space = self.network, self.model.space
        colored, logits_BC = color_pictures(network, space, images)
        for predicted, true in zip(colored, images, strict=True):
            self.val_rmse.update(predicted, true)
        known_B = labels_B >= 0
        if logits_BC is not None and known_B.any():
            self.val_accuracy.update((logits_BC.argmax(1) == labels_B)[known_B].float())
        as_predicted: list[Tensor] | None = None
        if space.predicts_luminance and self.trainer.validating:
            as_predicted = color_pictures(network, space, images, own_luminance=False)[0]
        return {
            "colored": colored,
            "as_predicted": as_predicted,
            "true": images,
            "labels": labels_B.tolist(),
            "keys": [batch["keys"][number] for number in keep],
            "logits": logits_BC,
        }

    def on_validation_epoch_end(self) -> None:
        """Log `val/chroma_rmse` (in ab units, see `ChrominanceRMSE`) and `val/accuracy`."""
        self.log(MONITOR, self.val_rmse.compute().float())
        self.val_rmse.reset()
        accuracy = self.val_accuracy.compute()
        # NaN if no photograph has a class; the same on every rank.
        if self.network.classification is not None and not accuracy.isnan():
            self.log("val/accuracy", accuracy)
        self.val_accuracy.reset()

    def _groups(self) -> list[dict[str, Any]]:
        assert self.objective is not None
        assert self.make_optimizer is not None
        settings = settings_of(self.make_optimizer)
        return parameter_groups(self.network, self.objective, settings, self.encoder)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule over all steps of the run."""
        assert self.make_optimizer is not None
        assert self.make_scheduler is not None
        optimizer = self.make_optimizer(self._groups())
        remember_settings(optimizer)
        steps = self.trainer.estimated_stepping_batches
        return {
            "optimizer": optimizer,
            "lr_scheduler": schedule(self.make_scheduler, optimizer, steps),
        }

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients also for fused optimizers in bf16, which Lightning rejects.

        With fp16, gradients would have to be unscaled first; bf16 has no gradient scaling.
        """
        precision = self.trainer.precision_plugin
        if gradient_clip_val and isinstance(precision, MixedPrecision) and precision.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
            Precision.clip_gradients(precision, optimizer, gradient_clip_val, algorithm)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_train_start(self) -> None:
        """Apply settings that have changed since the optimizer's checkpoint."""
        reconfigure(self.trainer.optimizers[0], self.lr_schedulers(), self._groups())  # type: ignore[arg-type]
        self._freeze_encoder()

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Unfreeze the encoder at the configured step."""
        if self.trainer.global_step == self.encoder.freeze_steps:
            self._freeze_encoder()

    def _freeze_encoder(self) -> None:
        """Freeze or unfreeze the encoder for the next step."""
        backbone = self.network.backbone
        if backbone.encoder is not None:
            frozen = self.encoder.frozen_at(self.trainer.global_step)
            backbone.encoder_frozen = frozen
            backbone.freeze_batch_norm(frozen or self.encoder.freeze_batch_norm)

    def complete_model(self) -> Model:
        """Return the model with the mean color of the training photographs.

        It is computed on first use, so that it doesn't delay the first step.
        """
        if self.mean_ab is not None:
            self.model = replace(self.model, mean_ab=self.mean_ab())
            self.mean_ab = None
        return self.model

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the model's description and library versions to a checkpoint."""
        versions = {
            "irodori": irodori.__version__,
            "torch": str(torch.__version__),
            "lightning": lightning.__version__,
        }
        checkpoint["irodori"] = {
            **self.complete_model().describe(),
            "versions": versions,
            "initialized_from": list(self.initialized_from),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore how a resumed run was initialized, and what it was trained on."""
        stored = checkpoint["irodori"]
        self.initialized_from = stored["initialized_from"]
        self.model = replace(self.model, trained_on=tuple(stored["trained_on"]))
