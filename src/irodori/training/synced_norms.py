"""Batch norm over all ranks, also of encoders whose norms hold their activation."""

from lightning.pytorch.plugins import LayerSync
from timm.layers import convert_sync_batchnorm
from torch.nn import Module


class SyncedNorms(LayerSync):
    """Batch norm over all ranks.

    Lightning's own conversion would drop the activations that timm keeps in its batch norms.
    """

    def apply(self, model: Module) -> Module:
        """Return the model with synchronized batch norms."""
        synced: Module = convert_sync_batchnorm(model)
        return synced

    def revert(self, model: Module) -> Module:
        """Return the model as it is: outside of training they work as any batch norm."""
        return model
