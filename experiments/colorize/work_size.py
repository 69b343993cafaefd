"""Measure color errors for several working sizes.

`python experiments/colorize/work_size.py <full-size color photographs> [--checkpoint <file>]`
colors each photograph from its luminance with several working sizes and compares it with the true
one. Writes work_size.csv beside this file, and prints a table.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from irodori.inference.colorizer import STARTER, Colorizer
from irodori.inference.settings import ColorizeSettings
from irodori.metrics.pair import Pair
from irodori.model import load_model

HERE = Path(__file__).parent
SIZES = (128, 192, 256, 320, 384, 512, 768)
"""Short sides in pixels."""
LARGEST = 1600
"""Longer side in pixels to which photographs are scaled; short sides stay above all SIZES."""


def main() -> None:
    """Colorize, compare, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, nargs="+", help="files")
    parser.add_argument("--checkpoint", type=Path, default=STARTER)
    chosen = parser.parse_args()
    model = load_model(chosen.checkpoint)
    rows = []
    for path in chosen.photographs:
        with Image.open(path) as image:
            true = image.convert("RGB")
        true.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        true_3HW = tensor(true)
        for size in SIZES:
            colorizer = Colorizer(model, ColorizeSettings(work_size=size))
            start = time.perf_counter()
            colored = colorizer(true)
            seconds = time.perf_counter() - start
            pair = Pair(tensor(colored), true_3HW)
            rows.append(
                {
                    "photograph": path.name,
                    "work_size": size,
                    "chroma_rmse": round(pair.ab_error.square().mean().sqrt().item(), 3),
                    "ciede2000": round(pair.difference.mean().item(), 3),
                    "seconds": round(seconds, 3),
                }
            )
    with (HERE / "work_size.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(chosen.photographs)} photographs · {chosen.checkpoint.name}")
    print("| short side | chrominance RMSE | CIEDE2000 | seconds |\n|---|---|---|---|")
    for size in SIZES:
        fitting = [row for row in rows if row["work_size"] == size]
        keys = ("chroma_rmse", "ciede2000", "seconds")
        means = [np.mean([float(row[key]) for row in fitting]) for key in keys]
        print(f"| {size} | {means[0]:.2f} | {means[1]:.2f} | {means[2]:.2f} |")


def tensor(image: Image.Image) -> torch.Tensor:
    """Read a photograph as 3×H×W uint8."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


if __name__ == "__main__":
    main()
