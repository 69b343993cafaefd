"""What `train.py` costs over a bare loop: the same network, precision, optimizer and objective.

    python experiments/speed/framework.py

Three sides in turn, in one process: a bare loop on a batch that lies in memory; Lightning's loop
with the run's callbacks and logger on the same batch (`framework_resident`); and all of `train.py`,
with its images read, decoded, cropped and converted (`framework`). The last line is one JSON object
of medians in seconds per image.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from irodori.checks import typed
from irodori.config import PROJECT, Config, register
from irodori.data.module import ShardData
from irodori.data.workers import end_workers
from irodori.training.building import build, make_callbacks, make_trainer
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.hardware import Hardware, choose
from irodori.training.launch import quieten
from irodori.training.loggers import make_loggers
from irodori.training.module import Colorization
from irodori.training.optimizers import make_optimizer
from irodori.training.stopping import StopSignal

SKIP = 2
"""First steps that aren't timed: what the loader has ready at the start came for free."""


class Clock:
    """Times steps after the first ones.

    Args:
        least: time at least so many steps.
        most: time no more, once so many seconds are over.
    """

    def __init__(self, least: int, most: float) -> None:
        self.least = least
        self.most = most
        self.steps = -SKIP
        self.start = self.seconds = 0.0

    def over(self) -> bool:
        """Count a step; whether it was the last."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.steps += 1
        now = time.perf_counter()
        if self.steps <= 0:
            self.start = now
        self.seconds = now - self.start
        return self.steps >= self.least and self.seconds >= self.most


class Timed(Callback):
    """Ends a fit when the clock says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Count a batch."""
        if self.clock.over():
            trainer.should_stop = True


class Resident(ShardData):
    """The run's data module, with one converted batch in memory in place of its training set."""

    batch: dict[str, Any]

    def train_dataloader(self) -> Any:
        """An epoch of that batch."""
        # In a loader, since Lightning takes a plain list for several loaders.
        return DataLoader([self.batch] * self.plan(1, 0).steps, batch_size=None)  # type: ignore[arg-type]


def configuration(width: float, batch: int) -> Config:
    """A run of `train.py experiment=lab_alpha1` with another network."""
    register()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        overrides = [
            "experiment=lab_alpha1",
            "experiment_name=speed",
            "logger=csv",
            f"network.width={width}",
            f"data.batch_size={batch}",
            # An epoch's end writes a checkpoint, and epochs of the sample are short.
            "trainer.max_epochs=1",
            "trainer.validate_every=2",
        ]
        return typed(compose("train", overrides))


def batch_like(config: Config, data: ShardData) -> dict[str, Any]:
    """A training batch as it comes after conversion."""
    size, side = config.data.batch_size, config.data.crop
    return {
        "luminance": torch.rand(size, 1, side, side),
        "chroma": torch.rand(size, data.color_space.chroma_channels, side, side),
        "labels": torch.randint(0, len(data.classes), (size,)),
        "valid": torch.ones(size, dtype=torch.bool),
        "keys": [str(number) for number in range(size)],
        "bad": [],
        "lost": [],
    }


def bare(
    config: Config,
    hardware: Hardware,
    module: Colorization,
    batch: dict[str, Any],
    clock: Clock,
) -> None:
    """A plain loop."""
    device = torch.device("cuda" if hardware.accelerator == "gpu" else "cpu")
    module.to(device)
    on_device = {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }
    optimizer = make_optimizer(module.network, config.optimizer, config.backbone, 1)["optimizer"]
    module.train()
    while not clock.over():
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=hardware.bf16):
            loss = module.training_step(on_device, 0)["loss"]
        loss.backward()
        optimizer.step()


def fit(
    config: Config, hardware: Hardware, module: Colorization, data: ShardData, clock: Clock
) -> None:
    """What `train.py` does, with its callbacks and logger."""
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), WholeFiles()
        callbacks = make_callbacks(config, data, folder, files, StopSignal())
        trainer = make_trainer(config, hardware, [*callbacks, Timed(clock)], files)
        trainer.loggers = make_loggers(config.logger, folder, {}, [], config.trainer.log_every)
        trainer.fit(module, data)
        end_workers()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    parser.add_argument("--width", type=float, default=1.0, help="of the network")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    arguments = parser.parse_args()
    rounds, least, most = 1, 2, 4.0
    if arguments.quick:
        arguments.width, arguments.batch, rounds, least, most = 0.0625, 4, 1, 2, 0.0
    quieten()
    torch.manual_seed(0)
    config = configuration(arguments.width, arguments.batch)
    hardware = choose(config.trainer)
    data, module = build(config, hardware)
    resident = Resident(config.data, data.color_space, config.seed)
    resident.batch = batch_like(config, data)
    sides: dict[str, Callable[[Clock], None]] = {
        "bare": lambda clock: bare(config, hardware, module, resident.batch, clock),
        "framework_resident": lambda clock: fit(config, hardware, module, resident, clock),
        "framework": lambda clock: fit(config, hardware, module, data, clock),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            clock = Clock(least, most)
            side(clock)
            seconds[name].append(clock.seconds / clock.steps / config.data.batch_size)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        shown = ", ".join(f"{1000 * value:.1f}" for value in values)
        print(f"{name}: {shown} ms/image · {medians['bare'] / medians[name]:.3f} × bare")
    print(
        json.dumps(
            {
                name: {"plain": medians["bare"], "ours": medians[name]}
                for name in ("framework", "framework_resident")
            }
        )
    )


if __name__ == "__main__":
    main()
