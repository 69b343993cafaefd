"""Throughput of `train.py` beside the loop that an expert writes, with the same options.

    python experiments/speed/training.py

The paper's network at full width, batch 32, ADADELTA, one synthetic batch that is resident in
memory. Both sides run in one process and take turns step by step, so that whatever else the machine
does meets both. The last line is a JSON object: medians in milliseconds a step, and their ratio.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from lightning import Callback, LightningModule, Trainer
from omegaconf import DictConfig, open_dict
from torch.nn import functional
from torch.utils.data import DataLoader

from irodori.config import PROJECT
from irodori.config.resolvers import register
from irodori.data.module import ShardData
from irodori.network import JointNetwork
from irodori.runs.run import Run
from irodori.training.building import build_callbacks, build_trainer
from irodori.training.launch import prepare
from irodori.training.loggers import make_loggers
from irodori.training.quiet import quiet_lightning
from irodori.training.stopping import StopSignal

WARM_UP = 2
"""Steps of each side that don't count."""


class ExpertLoop:
    """A training loop in thirty lines: channels-last, autocast where it is fast, foreach."""

    def __init__(self, batch: dict[str, Any], width: float, classes: int, bf16: bool) -> None:
        self.batch = batch
        self.bf16 = bf16
        self.network = JointNetwork(classes, width=width).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adadelta(self.network.parameters(), foreach=True)

    def step(self) -> float:
        """Make a step and return its seconds."""
        start = time.perf_counter()
        batch = self.batch
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            chroma_BCHW, logits_BC = self.network(batch["luminance"])
        target_BCHW = functional.avg_pool2d(batch["chroma"], 2)
        loss = functional.mse_loss(chroma_BCHW.float(), target_BCHW)
        assert logits_BC is not None
        loss = loss + functional.cross_entropy(logits_BC.float(), batch["labels"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return time.perf_counter() - start


class TakeTurns(Callback):
    """Times each step of Lightning, and makes one of the expert's loop after it."""

    def __init__(self, steps: int, expert: ExpertLoop) -> None:
        self.steps = steps
        self.expert = expert
        self.seconds: dict[str, list[float]] = {"train.py": [], "expert": []}
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Make a step of the expert's, now that the step before has wholly ended."""
        if batch_idx:
            self.seconds["train.py"].append(time.perf_counter() - self._start)
            self.seconds["expert"].append(self.expert.step())
            self._start = time.perf_counter()


class Resident(ShardData):
    """Serves one batch again and again, on the device already."""

    def __init__(self, data: ShardData, batch: dict[str, Any], steps: int) -> None:
        self.__dict__ |= data.__dict__
        self.batches: Any = [batch] * steps

    def train_dataloader(self) -> Any:
        """Return the batches."""
        return DataLoader(self.batches, batch_size=None)


def compose(*overrides: str) -> DictConfig:
    """Return the configuration as `train.py` composes it."""
    register()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        config = hydra.compose("train", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


def measure(width: float, batch_size: int, crop: int, steps: int) -> dict[str, float]:
    """Return medians in ms a step, and how much of the expert's throughput train.py has."""
    overrides = [
        "experiment=lab_alpha1",
        "optimizer=adadelta",
        "scheduler=constant",
        f"network.width={width}",
        f"data.batch_size={batch_size}",
        f"data.size={max(crop, 256)}",
        f"augmentation.crop={crop}",
        "data.workers=0",
        "logger=csv",
        f"trainer.max_steps={steps + 1}",
        "trainer.limit_val_batches=0",
        "callbacks.progress_bar=null",
    ]
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        run = Run(compose(*overrides), Path(folder), overrides)
        hardware, data, module = prepare(run)
        print(hardware, flush=True)
        classes = len(data.classes)
        batch = {
            "luminance": torch.rand(batch_size, 1, crop, crop),
            "chroma": torch.rand(batch_size, 2, crop, crop),
            "labels": torch.randint(classes, (batch_size,)),
            "valid": torch.ones(batch_size, dtype=torch.bool),
            "keys": [str(number) for number in range(batch_size)],
            "bad": [],
            "lost": [],
        }
        expert = ExpertLoop(batch, width, classes, hardware.precision == "bf16-mixed")
        turns = TakeTurns(steps, expert)
        callbacks = [turns, *build_callbacks(run, data, StopSignal())]
        trainer = build_trainer(run.config.trainer, hardware, callbacks, run.folder)
        trainer.loggers = make_loggers(run)
        trainer.fit(module, Resident(data, batch, steps + 1))
    medians = {
        side: 1000 * statistics.median(seconds[WARM_UP:]) for side, seconds in turns.seconds.items()
    }
    return {
        **{f"{side}_ms": round(value, 2) for side, value in medians.items()},
        "throughput_ratio": round(medians["expert"] / medians["train.py"], 4),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=12, help="steps of each side")
    parser.add_argument("--quick", action="store_true", help="a tiny network, to try the script")
    options = parser.parse_args()
    if options.quick:
        print(json.dumps(measure(0.0625, 4, 32, 4)))
    else:
        print(json.dumps(measure(1.0, 32, 224, options.steps)))


if __name__ == "__main__":
    main()
