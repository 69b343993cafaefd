"""The states of the random generators of all ranks, kept in checkpoints."""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from irodori.training.ranks import gather, own_value


class RandomStates(Callback):
    """Restores the random generators, so that a resumed run draws what it would have drawn.

    With another number of ranks the generators stay as they were seeded.
    """

    def __init__(self) -> None:
        self._loaded: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the states of Python's, NumPy's and torch's generators on every rank."""
        name, keys, *rest = np.random.get_state(legacy=True)
        state = {
            "python": random.getstate(),
            # Checkpoints are read without unpickling NumPy's arrays.
            "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        }
        return {"ranks": gather(state)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts."""
        self._loaded = state_dict["ranks"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the generators."""
        state = own_value(self._loaded)
        if state is not None:
            version, internal, gauss = state["python"]
            random.setstate((version, tuple(internal), gauss))
            name, keys, *rest = state["numpy"]
            np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
            torch.set_rng_state(state["torch"])
            torch.cuda.set_rng_state_all(state["cuda"])
