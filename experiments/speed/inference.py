"""Colouring by the full-width network: `python experiments/speed/inference.py`.

Plain is the network as it was trained, in fp32, contiguous; ours is what `faster` makes of it.
Each is measured in a fresh process, the network alone: seconds per image of batches of 8 of 224²,
of one image of 224², and of photos of 1024² and 2048², with the most memory that these take beyond
the process with its network. The last line is one JSON object of them. Weights are random: they
change neither time nor memory.
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path

import memory
import torch
from sides import both, seconds
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from irodori.inference.fast import faster
from irodori.network import JointNetwork

FLOPS = 17.2e9
"""Of the network as it was trained, per image of 224²: the count of the wanted figures."""
CASES = {
    "infer_1024": (1, 1024, 2),
    "infer_2048": (1, 2048, 1),
    "infer_1": (1, 224, 6),
    "infer_batch8": (8, 224, 4),
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
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    parser.add_argument("--side", choices=("plain", "ours"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measured(arguments.side, arguments.quick)))
        return
    figures = both(Path(__file__), ["--quick"] if arguments.quick else [])
    for name, values in figures.items():
        plain, ours = values["plain"], values["ours"]
        print(f"{name}: {plain:.4g} / {ours:.4g} = {plain / ours:.2f}")
        if name == "infer_batch8":
            values["flops_per_image"] = FLOPS
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
