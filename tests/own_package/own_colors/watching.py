"""A logger, a callback and a metric."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor

from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import MetricInfo
from irodori.metrics.pair import Pair


class JsonLines(Logger):
    """Writes what is logged as a JSON object a line."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)

    name = "json_lines"
    version = "0"

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Write the settings."""
        self._write({"settings": params})

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write a row."""
        self._write({"step": step, **metrics})

    def _write(self, row: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


class StepCounter(Callback):
    """Counts the steps of a run, also over an interruption, and writes their number."""

    def __init__(self, file: str = "steps.txt") -> None:
        self.file = file
        self.steps = 0

    def state_dict(self) -> dict[str, int]:
        """Return the number."""
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue counting."""
        self.steps = state_dict["steps"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count."""
        self.steps += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the number."""
        Path(trainer.default_root_dir, self.file).write_text(str(self.steps))


class WorstChannel(PairMetric):
    """The largest mean error of a channel of RGB."""

    info = MetricInfo(
        "worst_channel",
        "worst channel",
        "lower",
        "largest over channels of the mean over pixels of the absolute 8-bit error",
        "levels",
    )

    def measure(self, pair: Pair) -> Tensor:
        """Return the metric of one photograph."""
        difference_3HW = pair.predicted_3HW.float() - pair.true_3HW.float()
        return difference_3HW.abs().mean((1, 2)).amax()
