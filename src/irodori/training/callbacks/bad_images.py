"""Counts images that can't be decoded, reports them, and stops a run that has too many."""

from typing import Any, NoReturn

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from irodori.training.callbacks.watcher import Watcher
from irodori.training.ranks import gather
from irodori.utils.errors import IrodoriError


class BadImages(Watcher):
    """Reports each damaged image of an epoch once, at its end, with shard, key and reason.

    The share is that of all images seen in the epoch by all ranks; every rank stops together. As
    soon as a rank has found as many as a whole epoch may hold, the run is stopped (see `Watcher`).

    Args:
        max_share: the run stops when more than this share of an epoch's images is damaged.
        epoch_images: training images that a rank sees in an epoch.

    Raises:
        IrodoriError: the share is exceeded.
    """

    def __init__(self, max_share: float, epoch_images: int) -> None:
        self.max_share = max_share
        self.epoch_images = epoch_images
        self.seen = 0
        self.bad: list[str] = []
        self.reported: set[str] = set()

    @property
    def alarm(self) -> bool:
        """Whether this rank has found too many for an epoch."""
        return len(self.bad) > self.max_share * self.epoch_images

    def report(self) -> NoReturn:
        """List them, and say how many; see `Watcher`."""
        self._list()
        counts = gather((len(self.bad), self.seen))
        bad, seen = (sum(column) for column in zip(*counts, strict=True))
        raise IrodoriError(self._too_many(bad, seen))

    def _too_many(self, bad: int, seen: int) -> str:
        return (
            f"{bad} of {seen} images ({bad / seen:.1%}) can't be read or decoded, more than"
            f" data.max_bad_share={self.max_share:.1%} of an epoch; repair or remove them (listed"
            " above)"
        )

    def _add(self, batch: dict[str, Any]) -> None:
        self.seen += len(batch["keys"])
        self.bad += batch["bad"]

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a training batch."""
        self._add(batch)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a validation batch."""
        self._add(batch)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Report the epoch."""
        self._report(trainer, f"epoch {trainer.current_epoch + 1}")

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Report the validation; within a training epoch its images count with the epoch's."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._report(trainer, "validation")

    def _list(self) -> None:
        """Print a line for each image that wasn't reported yet."""
        for line in sorted(set(self.bad)):
            # The reason may name a place in memory, another one each time.
            sample = ": ".join(line.split(": ")[:2])
            if sample not in self.reported:
                print(f"damaged image, left out: {line}", flush=True)
            self.reported.add(sample)

    def _report(self, trainer: Trainer, phase: str) -> None:
        self._list()
        counts = torch.tensor([len(self.bad), self.seen], device=trainer.strategy.root_device)
        bad, seen = trainer.strategy.reduce(counts, reduce_op="sum").tolist()
        self.bad, self.seen = [], 0
        if bad:
            share = bad / seen
            if trainer.is_global_zero:
                print(f"{bad} of {seen} images ({share:.1%}) were damaged ({phase})", flush=True)
            if share > self.max_share:
                raise IrodoriError(self._too_many(bad, seen))
