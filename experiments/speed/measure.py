"""How fast training is: `python experiments/speed/measure.py framework` (or `step`).

framework: what does the framework cost? Images/s of a bare PyTorch loop on batches that lie in
memory, of Lightning's loop with this project's module, callbacks and logger on the same kind of
batches, and of all that `train.py` runs: shards read, decoded, augmented and converted as well.

step: what do precision and memory format bring? A training step of the full-width network as this
machine's hardware choice runs it, over plain fp32 NCHW.

All sides are measured in turn in one process. Prints the figures and puts them into results.json
beside this file. Nothing else should run meanwhile.
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
from torch.utils.data import DataLoader

from irodori.checks import typed
from irodori.color import color_space
from irodori.config import PROJECT, Config, register
from irodori.data.module import ShardData
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma
from irodori.training.building import build, make_callbacks, make_trainer
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.hardware import Hardware, choose
from irodori.training.launch import quieten
from irodori.training.loggers import make_loggers
from irodori.training.optimizers import make_optimizer
from irodori.training.stopping import StopSignal

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


class Resident(ShardData):
    """The run's data module, with one converted batch in memory in place of its training set."""

    def train_dataloader(self) -> Any:
        """An epoch of the same batch, as it comes after conversion."""
        size, side = self.config.batch_size, self.config.crop
        batch = {
            "luminance": torch.rand(size, 1, side, side),
            "chroma": torch.rand(size, self.color_space.chroma_channels, side, side),
            "labels": torch.randint(0, len(self.classes), (size,)),
            "valid": torch.ones(size, dtype=torch.bool),
            "keys": [str(number) for number in range(size)],
            "bad": [],
            "lost": [],
        }
        # In a loader, since Lightning takes a plain list for several loaders.
        return DataLoader([batch] * self.plan(1, 0).steps, batch_size=None)  # type: ignore[arg-type]


def framework(config: Config, hardware: Hardware, steps: int, skip: int, resident: bool) -> float:
    """Images/s of `train.py`'s own parts, with or without reading data."""
    data, module = build(config, hardware)
    source = Resident(config.data, color_space(config.color_space.name)) if resident else data
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(skip)
        files = WholeFiles()
        callbacks = [*make_callbacks(config, data, Path(folder), files, StopSignal()), clock]
        trainer = make_trainer(config, hardware, callbacks, files)
        trainer.loggers = make_loggers(
            config.logger, Path(folder), {}, [], config.trainer.log_every
        )
        trainer.fit(module, source)
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
    optimizer = make_optimizer(network, config.optimizer, config.backbone, steps)["optimizer"]
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
    sides: dict[str, Callable[[], float]] = {
        "bare loop": lambda: bare(config, hardware, steps, skip),
        "framework": lambda: framework(config, hardware, steps, skip, resident=True),
        "train.py": lambda: framework(config, hardware, steps, skip, resident=False),
    }
    speeds = [{name: side() for name, side in sides.items()} for _ in range(rounds)]
    return {
        "width": width,
        "batch": config.data.batch_size,
        "images/s": {name: [round(speed[name], 2) for speed in speeds] for name in sides},
        "over the bare loop": {
            name: round(statistics.median(speed[name] / speed["bare loop"] for speed in speeds), 3)
            for name in ("framework", "train.py")
        },
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=["framework", "step"])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    arguments = parser.parse_args()
    quieten()
    torch.manual_seed(0)
    if arguments.part == "step":
        figures = [step_gain(8, rounds=3), step_gain(32, rounds=2)]
    elif arguments.quick:
        figures = [framework_cost(0.05, steps=4, skip=2, rounds=1)]
    else:
        figures = [framework_cost(0.25, steps=20, skip=5, rounds=3)]
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": str(choose(configuration([]).trainer)),
        "versions": {"torch": str(torch.__version__), "lightning": lightning.__version__},
        "figures": figures,
    }
    stored = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    stored[arguments.part] = result
    arguments.output.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
