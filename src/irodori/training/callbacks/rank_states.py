"""States of each rank in checkpoints: random generators and sums of losses."""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from irodori.training.ranks import gather, own_value


class RandomStates(Callback):
    """Restores the random generators, so that a resumed run draws the same numbers.

    With another number of ranks, the generators keep their seeds.
    """

    def __init__(self) -> None:
        self._loaded: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the states of Python's, NumPy's and torch's generators on every rank."""
        name, keys, *rest = np.random.get_state(legacy=True)
        state = {
            "python": random.getstate(),
            # Plain types, since checkpoints are read without unpickling NumPy arrays.
            "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
            "torch": torch.get_rng_state(),
            # Only the rank's own GPU, since a resumed run may have fewer GPUs.
            "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],
        }
        return {"ranks": gather(state)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts."""
        self._loaded = state_dict["ranks"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the generators."""
        state = own_value(self._loaded)
        if state is not None:
            version, internal, gauss = state["python"]
            random.setstate((version, tuple(internal), gauss))
            name, keys, *rest = state["numpy"]
            np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
            torch.set_rng_state(state["torch"])
            if state["cuda"] and torch.cuda.is_initialized():
                torch.cuda.set_rng_state(state["cuda"][0])


class TrainMeans(Callback):
    """Logs the `sums` of training steps as means: per step on this rank, per epoch on all.

    Sums and counts stay on the device between logs. A resumed run continues an epoch's means
    exactly; with another number of ranks, the first one takes the sums of all.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self._loaded: list[dict[str, list[float]]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the sums and counts of every rank."""
        return {"ranks": gather({name: pair_2.tolist() for name, pair_2 in self.sums.items()})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the sums until training starts."""
        self._loaded = state_dict["ranks"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue with the loaded sums."""
        sums = own_value(self._loaded)
        if sums is None and self._loaded:
            columns = {
                name: zip(*(r[name] for r in self._loaded), strict=True) for name in self._loaded[0]
            }
            sums = {name: [sum(column) for column in pair] for name, pair in columns.items()}
            if not trainer.is_global_zero:
                # The epoch may end with no further batch, and all ranks reduce the same names.
                sums = {name: [0.0, 0.0] for name in sums}
        for name, pair in (sums or {}).items():
            self.sums[name] = torch.tensor(pair, dtype=torch.float64).to(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        """Add a micro-batch, and log its means."""
        for name, (total, count) in outputs["sums"].items():
            pair_2 = torch.stack([total.double(), count.double()])
            self.sums[name] = self.sums[name] + pair_2 if name in self.sums else pair_2
            pl_module.log(f"train/{name}_step", total / count.clamp(min=1), on_epoch=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's means."""
        for name, pair_2 in self.sums.items():
            total, count = trainer.strategy.reduce(pair_2, reduce_op="sum").tolist()
            pl_module.log(f"train/{name}_epoch", total / max(count, 1))
        self.sums = {}
