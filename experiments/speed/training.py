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
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from lightning import Callback, LightningModule, Trainer
from omegaconf import DictConfig, open_dict
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from irodori.config import PROJECT
from irodori.data.module import ShardData
from irodori.network import JointNetwork
from irodori.runs.program import register
from irodori.runs.run import Run
from irodori.training.building import build_callbacks, build_trainer, quiet_lightning
from irodori.training.launch import prepare
from irodori.training.loggers import make_loggers
from irodori.training.stopping import StopSignal

WARM_UP = 2
"""Turns of each side that don't count."""


@dataclass(frozen=True)
class Case:
    """What is trained, and how the sides take turns.

    Attributes:
        overrides: of `train.py`.
        crop: side of the resident pictures in pixels.
        turns: of each side.
        steps: of a turn. On a GPU several, since it is waited for at the end of a turn only.
        device: "cpu" or "cuda".
    """

    overrides: Sequence[str]
    batch_size: int
    crop: int
    turns: int
    steps: int = 1
    device: str = "cpu"


class ExpertLoop:
    """A training loop in thirty lines: channels-last, autocast where it is fast, foreach."""

    def __init__(
        self,
        batch: dict[str, Any],
        network: JointNetwork,
        optimizer: Callable[..., torch.optim.Optimizer],
        bf16: bool,
        mode: str | None = None,
    ) -> None:
        self.batch = batch
        self.bf16 = bf16
        self.device = batch["luminance"].device
        self.network = network
        forward: Any = network.predict_both if network.hint_channels else network.predict
        self.forward = forward if mode is None else torch.compile(forward, mode=mode)
        self.optimizer = optimizer(network.parameters())

    def loss(self, prediction_BQHW: Tensor, chroma_BCHW: Tensor) -> Tensor:
        """Return the squared error of the colors."""
        target_BCHW = functional.avg_pool2d(chroma_BCHW, 2)
        return functional.mse_loss(prediction_BQHW.float().sigmoid(), target_BCHW)

    def step(self) -> None:
        """Make a step."""
        batch = self.batch
        inputs = [batch[name] for name in ("luminance", "hints", "hinted") if name in batch]
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            prediction_BQHW, *hinted, logits_BC = self.forward(*inputs)
        loss = self.loss(prediction_BQHW, batch["chroma"])
        for hinted_RQHW in hinted:
            loss = loss + self.loss(hinted_RQHW, batch["chroma"][batch["hinted"]])
        loss = loss + functional.cross_entropy(logits_BC.float(), batch["labels"])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def turn(self, steps: int) -> float:
        """Make steps and return their seconds."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        wait_for(self.device.type)
        return time.perf_counter() - start


def wait_for(device: str) -> None:
    """Wait until a GPU has done all that it was asked to do."""
    if device == "cuda":
        torch.cuda.synchronize()


class TakeTurns(Callback):
    """Times each turn of Lightning, and makes one of the expert's loop after it."""

    def __init__(self, case: Case, expert: ExpertLoop) -> None:
        self.case = case
        self.expert = expert
        self.seconds: dict[str, list[float]] = {"train.py": [], "expert": []}
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Make a turn of the expert's, now that the steps before have wholly ended."""
        if batch_idx and batch_idx % self.case.steps == 0:
            wait_for(self.case.device)
            self.seconds["train.py"].append(time.perf_counter() - self._start)
            self.seconds["expert"].append(self.expert.turn(self.case.steps))
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


def resident_batch(case: Case, classes: int, network: JointNetwork) -> dict[str, Any]:
    """Return a batch of noise on the device."""
    torch.manual_seed(0)
    batch_size, crop = case.batch_size, case.crop
    batch = {
        "luminance": torch.rand(batch_size, 1, crop, crop),
        "chroma": torch.rand(batch_size, network.chroma_channels, crop, crop),
        "labels": torch.randint(classes, (batch_size,)),
        "valid": torch.ones(batch_size, dtype=torch.bool),
    }
    if network.hint_channels:
        batch["hinted"] = torch.arange(0, batch_size, 4)
        batch["hints"] = torch.zeros(len(batch["hinted"]), network.hint_channels, crop, crop)
        batch["hints"][:, :, 8:16, 8:16] = 1
    moved: dict[str, Any] = {name: tensor.to(case.device) for name, tensor in batch.items()}
    return {**moved, "keys": [str(n) for n in range(batch_size)], "bad": [], "lost": []}


def measure(case: Case) -> dict[str, float]:
    """Return medians in ms a step, and how much of the expert's throughput train.py has."""
    steps = case.turns * case.steps
    overrides = [
        *case.overrides,
        "scheduler=constant",
        f"data.batch_size={case.batch_size}",
        f"data.size={max(case.crop, 256)}",
        f"augmentation.crop={case.crop}",
        "data.workers=0",
        "logger=csv",
        f"trainer.max_steps={steps + 1}",
        "trainer.max_epochs=-1",
        "trainer.limit_val_batches=0",
        f"trainer.accelerator={case.device.replace('cuda', 'gpu')}",
        "callbacks.progress_bar=null",
    ]
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        run = Run(compose(*overrides), Path(folder), overrides)
        hardware, data, module = prepare(run)
        print(hardware, flush=True)
        network = module.network
        batch = resident_batch(case, len(data.classes), network)
        assert module.make_optimizer is not None
        bf16 = hardware.precision == "bf16-mixed"
        own = deepcopy(network).to(case.device).to(memory_format=torch.channels_last).train()
        expert = ExpertLoop(batch, own, module.make_optimizer, bf16, run.config.compile)
        turns = TakeTurns(case, expert)
        callbacks = [turns, *build_callbacks(run, data, StopSignal())]
        trainer = build_trainer(run.config.trainer, hardware, callbacks, run.folder)
        trainer.loggers = make_loggers(run)
        trainer.fit(module, Resident(data, batch, steps + 1))
    medians = {
        side: 1000 * statistics.median(seconds[WARM_UP:]) / case.steps
        for side, seconds in turns.seconds.items()
    }
    return {
        **{f"{side}_ms": round(value, 2) for side, value in medians.items()},
        "throughput_ratio": round(medians["expert"] / medians["train.py"], 4),
    }


PAPER = ["experiment=lab_alpha1", "optimizer=adadelta"]
"""Overrides that train the paper's network; its width is that of the sample's YAML."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=12, help="steps of each side")
    parser.add_argument("--quick", action="store_true", help="a tiny network, to try the script")
    options = parser.parse_args()
    if options.quick:
        print(json.dumps(measure(Case([*PAPER, "network.width=0.0625"], 4, 32, turns=4))))
    else:
        print(json.dumps(measure(Case([*PAPER, "network.width=1"], 32, 224, options.steps))))


if __name__ == "__main__":
    main()
