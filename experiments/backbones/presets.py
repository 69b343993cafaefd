"""Compare all backbones: `python experiments/backbones/presets.py <folder of the short runs>`.

Measures a training step (batch 16) and inference (batch 8) of the joint network with each backbone,
alternately in one process, on 224×224 pixels with one thread; medians over five rounds. Adds the
metrics of short runs: one epoch on the sample from random weights, which shows that a backbone
trains, but not how good it is. Writes presets.csv beside this file and prints the table. Run it on
an otherwise idle machine.
"""

import argparse
import csv
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from irodori.network import JointNetwork
from irodori.network.decoders import SkipDecoder
from irodori.network.timm_backbone import TimmBackbone
from irodori.training.hardware import cpu_name

HERE = Path(__file__).parent
FIGURES = ("chroma_rmse", "colorfulness", "accuracy")
ROUNDS = 5
BATCH, PHOTOS = 16, 8
"""Batch sizes of training and inference."""


def network(backbone: str) -> JointNetwork:
    """Return the network of the short runs; the paper's backbone has the paper's decoder."""
    made = JointNetwork(6, width=0.25)
    if backbone != "paper":
        encoder, decoder = TimmBackbone(backbone, 0.25), partial(SkipDecoder, width=0.25)
        made = JointNetwork(6, width=0.25, backbone=encoder, decoder=decoder)
    return made.to(memory_format=torch.channels_last)


def training_step(made: JointNetwork) -> Callable[[], None]:
    """Return a function that runs a training step on a batch in memory."""
    optimizer = torch.optim.AdamW(made.parameters())
    luminance, chroma = torch.rand(BATCH, 1, 224, 224), torch.rand(BATCH, 2, 112, 112)
    labels = torch.randint(0, 6, (BATCH,))

    def step() -> None:
        made.train()
        predicted, logits = made(luminance)
        assert logits is not None
        loss = functional.mse_loss(predicted, chroma) + functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference(made: JointNetwork) -> Callable[[], None]:
    """Return a function that predicts chrominance and scenes of photos in memory."""
    luminance = torch.rand(PHOTOS, 1, 224, 224)

    def call() -> None:
        made.eval()
        with torch.inference_mode():
            made(luminance)

    return call


def rates(networks: dict[str, JointNetwork]) -> dict[str, list[str]]:
    """Return images/s of each backbone in training and inference: median (min … max)."""
    sides = {
        name: ((training_step(made), BATCH), (inference(made), PHOTOS))
        for name, made in networks.items()
    }
    found: dict[str, list[list[float]]] = {name: [[], []] for name in sides}
    for turn in range(ROUNDS + 1):
        for name, side in sides.items():
            for place, (call, images) in enumerate(side):
                start = time.perf_counter()
                call()
                if turn:  # the first one warms up
                    found[name][place].append(images / (time.perf_counter() - start))
    return {
        name: [f"{statistics.median(x):.1f} ({min(x):.1f} … {max(x):.1f})" for x in both]
        for name, both in found.items()
    }


def smoke(folder: Path) -> dict[str, dict[str, str]]:
    """Return the metrics of each backbone's short run, with 95 % intervals over photographs."""
    found = {}
    for path in sorted(folder.glob("*/metrics.json")):
        metrics = json.loads(path.read_text())
        with (path.parent / "per_image.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["row"] == "last"]
        name = metrics["training"]["initialized_from"][0].split(" · ")[0].removeprefix("encoder: ")
        found[name] = {
            figure: interval([float(row[figure]) for row in rows if row[figure]])
            for figure in FIGURES
        }
    return found


def interval(values: Sequence[float]) -> str:
    """Return the mean with a bootstrap interval over photographs."""
    numbers = np.array(values)
    draws = np.random.default_rng(0).choice(numbers, (10_000, len(numbers))).mean(1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return f"{numbers.mean():.1f} ({low:.1f} … {high:.1f})"


def main() -> None:
    """Measure, collect, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder of the smoke runs")
    parser.add_argument("--output", type=Path, default=HERE / "presets.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    smoked = smoke(arguments.runs)
    networks = {name: network(name) for name in ("paper", *smoked)}
    measured = rates(networks)
    rate = ["training images/s", "inference images/s"]
    header = ["backbone", "parameters", *rate, "weights of the smoke run", *FIGURES]
    lines = []
    for name, made in networks.items():
        parameters = sum(weight.numel() for weight in made.parameters()) / 1e6
        figures = smoked.get(name, {})
        lines.append(
            [name, f"{parameters:.2f} M", *measured[name]]
            + ["random, not pretrained" if figures else "–"]
            + [figures.get(figure, "–") for figure in FIGURES]
        )
    with arguments.output.open("w", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    print(f"{cpu_name()} · torch {torch.__version__} · 224×224, width 0.25")
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
