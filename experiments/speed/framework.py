"""What `train.py` costs over a bare loop: the same network, precision, optimizer and objective.

    python experiments/speed/framework.py

One fit by `train.py`'s own trainer, with its callbacks and logger, and with its images read,
decoded, cropped and converted. After each of its steps comes one of a bare loop, with a copy of the
network and a batch that lies in memory, while the loader processes are held: both see the same
machine. The last line is one JSON object of medians in seconds per image.
"""

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from batches import random_batch
from hydra import compose, initialize_config_dir
from lightning import Callback, Trainer
from timing import seconds, wait

from irodori.checks import typed
from irodori.config import PROJECT, Config, register
from irodori.data.module import ShardData
from irodori.data.workers import end_workers
from irodori.training.building import build, make_callbacks, make_trainer
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.hardware import Hardware, choose
from irodori.training.launch import quieten
from irodori.training.loggers import make_loggers
from irodori.training.module import Colorization
from irodori.training.optimizers import make_optimizer
from irodori.training.stopping import StopSignal

BATCH = 32 if torch.cuda.is_available() else 2
"""Images a step: on a CPU more than a second's work. What comes with each step weighs the more."""


@contextmanager
def held() -> Iterator[None]:
    """Let no loader process work meanwhile."""
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    for worker in workers:
        os.kill(worker.pid or 0, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker.pid or 0, signal.SIGCONT)


class InTurn(Callback):
    """After each step of a fit another one, timed like it, until there are enough of both.

    Args:
        other: takes the other step.
        least: steps that are timed at least, after two that aren't.
        most: seconds after which no more are.
    """

    def __init__(self, other: Callable[[], object], least: int, most: float) -> None:
        self.other = other
        self.least = least
        self.most = most
        self.steps: list[float] = []
        self.others: list[float] = []
        self.begun = 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """End a step's time, and begin the next one's after the other step."""
        wait()
        self.steps.append(time.perf_counter() - self.begun)
        with held():
            self.others.append(seconds(self.other))
        timed = self.steps[2:]
        if len(timed) >= self.least and sum(timed) + sum(self.others[2:]) >= self.most:
            trainer.should_stop = True
        self.begun = time.perf_counter()


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


def bare_step(
    config: Config, hardware: Hardware, module: Colorization, data: ShardData
) -> Callable[[], None]:
    """A step of a plain loop on one batch, as a function."""
    device = torch.device("cuda" if hardware.accelerator == "gpu" else "cpu")
    module = module.to(device).train()
    batch = random_batch(config.data.batch_size, len(data.classes))
    optimizer = make_optimizer(module.network, config.optimizer, config.backbone, 1)["optimizer"]

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=hardware.bf16):
            loss = module.training_step(batch, 0)["loss"]
        loss.backward()
        optimizer.step()

    return step


def fit(
    config: Config, hardware: Hardware, module: Colorization, data: ShardData, watcher: Callback
) -> None:
    """What `train.py` does, with its callbacks and logger."""
    with tempfile.TemporaryDirectory() as name:
        folder, files = Path(name), WholeFiles()
        callbacks = [
            callback
            for callback in make_callbacks(config, data, folder, files, StopSignal())
            # It only writes at the end, which takes seconds.
            if not isinstance(callback, Checkpoints)
        ]
        trainer = make_trainer(config, hardware, [*callbacks, watcher], files)
        trainer.loggers = make_loggers(config.logger, folder, {}, [], config.trainer.log_every)
        trainer.fit(module, data)
        end_workers()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    parser.add_argument("--width", type=float, default=1.0, help="of the network")
    parser.add_argument("--batch", type=int, default=BATCH, help="images per step")
    arguments = parser.parse_args()
    least, most = 3, 6.0
    if arguments.quick:
        arguments.width, least, most = 0.0625, 2, 0.0
    quieten()
    torch.manual_seed(0)
    config = configuration(arguments.width, arguments.batch)
    hardware = choose(config.trainer)
    data, module = build(config, hardware)
    watcher = InTurn(bare_step(config, hardware, deepcopy(module), data), least, most)
    fit(config, hardware, module, data, watcher)
    sides = {"plain": watcher.others[1:-1], "ours": watcher.steps[2:]}
    for name, values in sides.items():
        print(f"{name}: {', '.join(f'{value:.3f}' for value in values)} s")
    medians = {name: statistics.median(x) / arguments.batch for name, x in sides.items()}
    print(json.dumps({"framework": medians}))


if __name__ == "__main__":
    main()
