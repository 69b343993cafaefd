"""One side of training.py, in this process; prints its figures as one JSON object."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import memory
import torch
from batches import random_batch
from sides import SIDES
from timing import seconds
from torch import optim
from torch.nn import functional

from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma

Step = Callable[[dict[str, Any]], None]
CLASSES = 6
"""Of the sample."""


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


def measured(side: str, width: float, batches: list[int]) -> dict[str, float]:
    """The figures of one side."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest" if side == "plain" else "high")
    make: Callable[[float], Step] = partial(plain_step, classes=CLASSES)
    if side == "ours":
        # Its imports take seconds, which the plain side has no need of.
        from training_step import our_step

        make = our_step
    # What a first step loads of libraries is no memory of the network's.
    make(0.01)(random_batch(2, CLASSES))
    before = memory.now()
    step = make(width)
    figures = {}
    for size in batches:
        batch = random_batch(size, CLASSES)
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
