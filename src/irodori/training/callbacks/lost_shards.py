"""Stops a run whose shards are unreachable; they are not damaged, and may be had later."""

from typing import Any, NoReturn

from lightning import LightningModule, Trainer

from irodori.training.callbacks.watcher import Watcher
from irodori.training.ranks import gather
from irodori.utils.errors import IrodoriError


class LostShards(Watcher):
    """Has the run stopped before a step without some of its samples is written (see `Watcher`).

    Attributes:
        lost: which shard can't be had, and why; None as long as all can.
    """

    def __init__(self) -> None:
        self.lost: str | None = None

    @property
    def alarm(self) -> bool:
        """Whether a sample of this rank couldn't be had."""
        return self.lost is not None

    def report(self) -> NoReturn:
        """Say which shards; see `Watcher`."""
        reasons = sorted({reason for reason in gather(self.lost) if reason is not None})
        raise IrodoriError(
            f"{'; '.join(reasons)}: nothing is lost, resume the run when it can be had again"
        )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at a training batch before its step."""
        self.lost = self.lost or next(iter(batch["lost"]), None)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look at a validation batch."""
        self.lost = self.lost or next(iter(batch["lost"]), None)
