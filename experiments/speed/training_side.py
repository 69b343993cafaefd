"""One side of training.py, in this process; prints its figures as one JSON object."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import memory
import torch
from framework import batch_like, configuration
from sides import SIDES
from timing import seconds
from torch import optim
from torch.nn import functional

from irodori.color import color_space
from irodori.data.module import ShardData
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma
from irodori.training.building import build
from irodori.training.hardware import choose
from irodori.training.optimizers import make_optimizer

Step = Callable[[dict[str, Any]], None]


def plain_step(width: float, classes: int) -> Step:
    """A step as one writes it down."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = JointNetwork(classes, width=width).to(device)
    optimizer = optim.Adadelta(network.parameters(), foreach=False)

    def step(batch: dict[str, Any]) -> None:
        optimizer.zero_grad()
        chroma_BCHW, logits_BC = network(batch["luminance"])
        loss = functional.mse_loss(chroma_BCHW, reduce_chroma(batch["chroma"]))
        loss = loss + functional.cross_entropy(logits_BC, batch["labels"])
        loss.backward()
        optimizer.step()

    return step


def our_step(width: float) -> Step:
    """A step as `train.py` takes it, without Lightning's loop around it."""
    config = configuration(width, 8)
    hardware = choose(config.trainer)
    _, module = build(config, hardware)
    module.to("cuda" if hardware.accelerator == "gpu" else "cpu").train()
    optimizer = make_optimizer(module.network, config.optimizer, config.backbone, 1)["optimizer"]

    def step(batch: dict[str, Any]) -> None:
        optimizer.zero_grad()
        with torch.autocast(module.device.type, torch.bfloat16, enabled=hardware.bf16):
            loss = module.training_step(batch, 0)["loss"]
        loss.backward()
        optimizer.step()

    return step


def measured(side: str, width: float, batches: list[int]) -> dict[str, float]:
    """The figures of one side."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest" if side == "plain" else "high")
    # Not by `build`, which changes how memory is freed.
    config = configuration(width, batches[0])
    data = ShardData(config.data, color_space(config.color_space.name), config.seed)
    before = memory.now()
    step = our_step(width) if side == "ours" else plain_step(width, len(data.classes))
    figures = {}
    for size in batches:
        batch = batch_like(configuration(width, size), data)
        if torch.cuda.is_available():
            batch = {k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        if size == batches[0]:
            # Makes the optimizer's state, and warms up. Not a whole batch: a step of the plain side
            # takes seconds, on a CPU a second one as long as the first.
            step({key: value[:2] for key, value in batch.items()})
        memory.forget_peak()
        figures[f"step_batch{size}"] = seconds(partial(step, batch)) / size
    return {**figures, f"memory_batch{size}": memory.peak() - before}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    arguments = parser.parse_args()
    width, batches = (0.0625, [2, 4]) if arguments.quick else (1.0, [8, 32])
    print(json.dumps(measured(arguments.side, width, batches)))


if __name__ == "__main__":
    main()
