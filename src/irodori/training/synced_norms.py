"""Synchronized batch norm, also for timm's batch norms with activation."""

from lightning.pytorch.plugins import LayerSync
from timm.layers import convert_sync_batchnorm
from torch.nn import Module


class SyncedNorms(LayerSync):
    """Synchronized batch norm over all ranks.

    Lightning's conversion would drop the activations in timm's batch norms.
    """

    def apply(self, model: Module) -> Module:
        """Return the model with synchronized batch norms."""
        synced: Module = convert_sync_batchnorm(model)
        return synced

    def revert(self, model: Module) -> Module:
        """Return the model unchanged: in evaluation, synchronized norms work like others."""
        return model
