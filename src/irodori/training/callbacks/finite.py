"""Stops a run whose loss is no finite number, before a weight is changed by it."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from irodori.errors import IrodoriError
from irodori.training.ranks import agree, gather


class FiniteLoss(Callback):
    """Looks at the loss of every micro-batch; the batch is written down for looking into.

    Args:
        folder: the run folder, for `diverged-rank-<r>.pt`: a dict of the step, the keys, the loss,
            and the batch as it went into the network.

    Raises:
        IrodoriError: the loss is NaN or infinite on a rank; all ranks raise together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._batch: dict[str, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the first rank's folder: under torchrun each has composed one of its own."""
        self.folder = Path(trainer.strategy.broadcast(str(self.folder)))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self._batch = batch

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Look at the loss."""
        bad = not bool(loss.isfinite())
        if not agree(bad)[0]:
            return
        step = trainer.global_step + 1
        place = ""
        if bad:
            path = self.folder / f"diverged-rank-{trainer.global_rank}.pt"
            batch = {
                name: value.detach().cpu() if isinstance(value, Tensor) else value
                for name, value in self._batch.items()
            }
            torch.save({"step": step, "loss": loss.item(), "batch": batch}, path)
            keys = ", ".join(self._batch["keys"])
            place = f"{loss.item()} on rank {trainer.global_rank} in {path} (samples {keys})"
        places = "; ".join(text for text in gather(place) if text)
        raise IrodoriError(
            f"the loss of step {step} is {places}: look at these images, or lower optimizer.lr or"
            " set trainer.clip_norm; checkpoints before it are kept"
        )
