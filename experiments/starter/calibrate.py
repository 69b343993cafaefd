"""How much stronger should a model's colors be than those that an error taught it?

`python experiments/starter/calibrate.py CHECKPOINT` tries factors for `irodori export --saturation`
on training photographs, prints a table, and chooses the largest factor whose mean chrominance RMSE
is at most 2 % above the least: more color for little error.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from unseen import PHOTOGRAPHS, read

from irodori.color import to_float, to_uint8
from irodori.metrics.chrominance import rmse
from irodori.metrics.colorfulness import colorfulness
from irodori.metrics.pair import Pair
from irodori.model import load_model
from irodori.network.joint import upsample_chroma

FACTORS = np.arange(0.9, 2.01, 0.1).round(1)
EVERY, QUICK = 4, 60
"""Of the photographs, in use and as a trial."""
ALLOWED = 1.02


@torch.inference_mode()
def main() -> None:
    """Measure, print, choose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    first = PHOTOGRAPHS.replace("val-*", "train-000000")
    parser.add_argument("--photographs", default=first, help="training shards, %(default)s")
    parser.add_argument("--quick", action="store_true", help="a few photographs, as a trial")
    chosen = parser.parse_args()
    model = load_model(chosen.checkpoint)
    space, network = model.space, model.network
    photos = read(chosen.photographs)[:: QUICK if chosen.quick else EVERY]
    errors, colors, true = [], [], []
    for photo in photos:
        luminance_11HW, _ = space.encode(to_float(photo.image_3HW[None]))
        size = luminance_11HW.shape[-2:]
        logits_1Chw = torch.logit(network(luminance_11HW)[0])
        made = [
            to_uint8(
                space.decode(
                    luminance_11HW,
                    upsample_chroma((float(factor) * logits_1Chw).sigmoid(), *size),
                )
            )[0]
            for factor in FACTORS
        ]
        errors.append([rmse(Pair(picture_3HW, photo.image_3HW)).item() for picture_3HW in made])
        colors.append([colorfulness(picture_3HW).item() for picture_3HW in made])
        true.append(colorfulness(photo.image_3HW).item())
    error_F, color_F = np.mean(errors, 0), np.mean(colors, 0) / np.mean(true)
    print("| factor | chrominance RMSE ↓ | colorfulness of the truth |\n|---|---|---|")
    for factor, error, color in zip(FACTORS, error_F, color_F, strict=True):
        print(f"| {factor:.1f} | {error:.2f} | {color:.3f} |")
    print(f"--saturation {FACTORS[error_F <= ALLOWED * error_F.min()].max():.1f}")


if __name__ == "__main__":
    main()
