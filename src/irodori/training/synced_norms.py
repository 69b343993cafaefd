"""Batch norm over all ranks, also of encoders whose norms hold their activation."""

from lightning.pytorch.plugins import LayerSync
from torch.nn import Module


class SyncedNorms(LayerSync):
    """In place of Lightning's own, which would drop the activations in timm's batch norms."""

    def apply(self, model: Module) -> Module:
        """The model with synchronised batch norms."""
        # Imported here: it takes a second.
        from timm.layers import convert_sync_batchnorm

        synced: Module = convert_sync_batchnorm(model)
        return synced

    def revert(self, model: Module) -> Module:
        """The model as it is: outside of training they are as any batch norm."""
        return model
