"""The same batch norm statistics on every rank when a run validates."""

from lightning import Callback, LightningModule, Trainer
from torch import distributed

from irodori.training.ranks import several


class BroadcastBuffers(Callback):
    """Broadcasts the first rank's buffers before a validation.

    During training DDP does so before every step, but the last step's running statistics are each
    rank's own, and a photograph's metrics would depend on the rank that it falls to. It comes after
    weight averaging, so that the averaged statistics are shared, too.
    """

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Broadcast the buffers."""
        if several():
            for buffer in pl_module.buffers():
                distributed.broadcast(buffer, src=0)
