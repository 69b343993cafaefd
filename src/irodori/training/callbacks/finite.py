"""Looks whether losses are finite numbers, without waiting for the device in every step."""

from typing import Any, NoReturn

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from irodori.training.callbacks.watcher import Watcher
from irodori.training.ranks import gather
from irodori.utils.errors import IrodoriError


class FiniteLoss(Watcher):
    """Looks at the losses every `log_every_n_steps` steps, and before a checkpoint is written.

    Until then they stay on the device: to read each would make the host wait for it.

    Attributes:
        bad: the first loss of this rank that is no finite number, and of which samples; None if
            there is none.
    """

    def __init__(self) -> None:
        self.bad: str | None = None
        self._keys: list[str] = []
        self._losses: list[tuple[int, list[str], Tensor]] = []

    @property
    def alarm(self) -> bool:
        """Whether a loss of this rank was no finite number, as far as it has looked."""
        return self.bad is not None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember whose loss comes next."""
        self._keys = batch["keys"]

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Keep the loss."""
        self._losses.append((trainer.global_step + 1, self._keys, loss.detach()))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the losses when rows are logged."""
        every = getattr(trainer, "log_every_n_steps", 1) or 1
        if self._losses[-1][0] - self._losses[0][0] + 1 >= every:
            self.look()

    def look(self) -> None:
        """Read the losses since the last look, at once."""
        if not self._losses:
            return
        losses = torch.stack([loss for _, _, loss in self._losses]).tolist()
        for (step, keys, _), loss in zip(self._losses, losses, strict=True):
            if self.bad is None and not abs(loss) < float("inf"):
                self.bad = f"the loss of step {step} is {loss} (samples {', '.join(keys)})"
        self._losses = []

    def report(self) -> NoReturn:
        """Say which losses, of which samples; see `Watcher`."""
        losses = "; ".join(text for text in gather(self.bad) if text is not None)
        raise IrodoriError(
            f"{losses}: look at these images, or lower optimizer.lr or set"
            " trainer.gradient_clip_val; the last checkpoint was written before"
        )
