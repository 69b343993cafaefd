"""How fast training is: `python experiments/speed/measure.py [--quick]`.

Two questions, each answered by measuring both sides in turn in one process:

1. What does the framework cost? Images/s of what `train.py` runs (shards read, decoded, augmented
   and converted, Lightning's loop, loggers) over a bare PyTorch loop with the same network,
   precision and optimizer on batches that lie in memory.
2. What do precision and memory format bring? A training step of the full-width network as this
   machine's hardware choice runs it, over plain fp32 NCHW.

Prints the tables and writes results.json beside this file. Nothing else should run meanwhile.
"""

import argparse
import datetime
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from hydra import compose, initialize_config_dir
from lightning import Callback
from torch.nn import functional

from irodori.checks import typed
from irodori.config import PROJECT, Config, register
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma
from irodori.training.hardware import Hardware, choose
from irodori.training.launch import build, make_callbacks, make_trainer, quieten
from irodori.training.loggers import make_loggers
from irodori.training.optimizers import make_optimizer

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


class Clock(Callback):
    """Times the training batches of a fit after the first `skip`."""

    def __init__(self, skip: int) -> None:
        self.skip = skip
        self.batches = 0
        self.start = self.seconds = 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        """Count a batch."""
        self.batches += 1
        if self.batches == self.skip:
            self.start = time.perf_counter()
        elif self.batches > self.skip:
            self.seconds = time.perf_counter() - self.start


def configuration(overrides: list[str]) -> Config:
    """A run of `train.py experiment=lab_alpha1` with overrides."""
    register()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        composed = compose(
            "train", ["experiment=lab_alpha1", "experiment_name=speed", "logger=csv", *overrides]
        )
        return typed(composed)


def framework(config: Config, hardware: Hardware, steps: int, skip: int) -> float:
    """Images/s of `train.py`'s own parts."""
    data, module = build(config, hardware)
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(skip)
        callbacks = [*make_callbacks(config, data, Path(folder)), clock]
        trainer = make_trainer(config, hardware, callbacks)
        trainer.loggers = make_loggers(
            config.logger, Path(folder), {}, "speed", None, config.trainer.log_every
        )
        trainer.fit(module, data)
    return (steps - skip) * config.data.batch_size / clock.seconds


def step_of(
    network: JointNetwork, optimizer: torch.optim.Optimizer, batch: int, side: int, bf16: bool
) -> Callable[[], None]:
    """A bare training step on a batch that lies in memory."""
    luminance = torch.rand(batch, 1, side, side)
    chroma = torch.rand(batch, 2, side, side)
    labels = torch.randint(0, 6, (batch,))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            predicted, logits = network(luminance)
        loss = functional.mse_loss(predicted.float(), reduce_chroma(chroma))
        if logits is not None:
            loss = loss + functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def bare(config: Config, hardware: Hardware, steps: int, skip: int) -> float:
    """Images/s of a plain loop with the same network, precision and optimizer."""
    network = JointNetwork(6, width=config.network.width)
    if hardware.channels_last:
        network = network.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, config.optimizer, steps)["optimizer"]
    step = step_of(network, optimizer, config.data.batch_size, config.data.crop, hardware.bf16)
    for number in range(steps):
        if number == skip:
            start = time.perf_counter()
        step()
    return (steps - skip) * config.data.batch_size / (time.perf_counter() - start)


def framework_cost(width: float, steps: int, skip: int, rounds: int) -> dict[str, Any]:
    """Question 1 at one width, in alternation."""
    config = configuration(
        [
            f"network.width={width}",
            f"trainer.max_steps={steps}",
            "trainer.max_epochs=-1",
            "trainer.validate_every=100000",
            "trainer.progress=false",
        ]
    )
    hardware = choose(config.trainer)
    pairs = [
        (framework(config, hardware, steps, skip), bare(config, hardware, steps, skip))
        for _ in range(rounds)
    ]
    return {
        "width": width,
        "batch": config.data.batch_size,
        "train.py images/s": [round(ours, 2) for ours, _ in pairs],
        "bare loop images/s": [round(plain, 2) for _, plain in pairs],
        "ratio": round(statistics.median(ours / plain for ours, plain in pairs), 3),
    }


def step_gain(batch: int, rounds: int) -> dict[str, Any]:
    """Question 2 at one batch size, in alternation: seconds per image."""
    hardware = choose(configuration([]).trainer)
    steps: dict[str, Callable[[], None]] = {}
    for name, channels_last, bf16 in (
        ("plain", False, False),
        ("chosen", hardware.channels_last, hardware.bf16),
    ):
        network = JointNetwork(205)
        if channels_last:
            network = network.to(memory_format=torch.channels_last)
        steps[name] = step_of(network, torch.optim.Adadelta(network.parameters()), batch, 224, bf16)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:  # The first is a warm-up.
                times[name].append((time.perf_counter() - start) / batch * 1000)
    ratios = [plain / ours for plain, ours in zip(times["plain"], times["chosen"], strict=True)]
    return {
        "batch": batch,
        "plain fp32 NCHW ms/image": [round(value, 1) for value in times["plain"]],
        "chosen ms/image": [round(value, 1) for value in times["chosen"]],
        "ratio": round(statistics.median(ratios), 2),
    }


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    arguments = parser.parse_args()
    quieten()
    torch.manual_seed(0)
    if arguments.quick:
        costs = [framework_cost(0.05, steps=4, skip=2, rounds=1)]
        gains: list[dict[str, Any]] = []
    else:
        costs = [
            framework_cost(0.25, steps=30, skip=5, rounds=3),
            framework_cost(1.0, steps=8, skip=2, rounds=3),
        ]
        gains = [step_gain(8, rounds=3), step_gain(32, rounds=2)]
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": str(choose(configuration([]).trainer)),
        "versions": {"torch": str(torch.__version__), "lightning": lightning.__version__},
        "framework cost": costs,
        "training step, full width, 224x224": gains,
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
