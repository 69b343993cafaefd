"""One side of inference.py, in this process; prints its figures as one JSON object.

Weights are random: they change neither time nor memory.
"""

import argparse
import json
import statistics
from functools import partial

import memory
import torch
from sides import SIDES
from timing import seconds
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from irodori.inference.fast import faster
from irodori.network import JointNetwork

CASES = {
    "infer_1024": (1, 1024, 1),
    "infer_2048": (1, 2048, 1),
    "infer_1": (1, 224, 6),
    "infer_batch8": (8, 224, 3),
}
"""Batch size, pixels a side, timed calls."""
QUICK = {"infer_1": (1, 64, 1), "infer_1024": (1, 96, 1)}


def network_of(side: str, width: float) -> JointNetwork:
    """The network of a side, with norms that do something."""
    torch.manual_seed(0)
    network = JointNetwork(205, width=width).eval().requires_grad_(False)
    for norm in network.modules():
        if isinstance(norm, _BatchNorm):
            nn.init.uniform_(norm.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
    if torch.cuda.is_available():
        network = network.cuda()
    return network if side == "plain" else faster(network)


@torch.inference_mode()
def measured(side: str, quick: bool) -> dict[str, float]:
    """The figures of one side."""
    network = network_of(side, 0.0625 if quick else 1.0)
    device = next(network.parameters()).device
    figures: dict[str, float] = {}
    before = memory.now()
    for name, (batch, size, calls) in (QUICK if quick else CASES).items():
        luminance_B1HW = torch.rand(batch, 1, size, size, device=device)
        memory.forget_peak()
        # The first call is a warm-up, except where it takes so long that there is no other.
        times = [seconds(partial(network, luminance_B1HW)) for _ in range(calls)]
        figures[name] = statistics.median(times[1:] or times) / batch
        if size > 224 or quick:
            figures[name.replace("infer", "memory")] = max(1, memory.peak() - before)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    arguments = parser.parse_args()
    print(json.dumps(measured(arguments.side, arguments.quick)))


if __name__ == "__main__":
    main()
