"""Contact sheets of what two models make of photographs that neither has seen.

`python experiments/starter/sheets.py --old FILE --new FILE --output FOLDER`
writes random.jpg (48 photographs of the shards `val-*.tar`), people.jpg, aged.jpg (old prints), and
historical.jpg. Photographs are drawn by `--seed`, and not chosen by how they came out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional
from unseen import PHOTOGRAPHS, SAMPLES, Photograph, aged, read

from irodori import Colorizer
from irodori.color import Lab, to_float, to_uint8
from irodori.inference.contact_sheet import Picture, contact_sheet, gray_of

TITLES = ("gray", "old model", "new model", "true")
COUNTS = {"random": 48, "people": 24, "aged": 24}
BESIDE = 3
"""Photographs beside each other in a row."""


def main() -> None:
    """Color and lay out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", default=PHOTOGRAPHS, help="shards, %(default)s")
    parser.add_argument("--old", type=Path, required=True, help="checkpoint of the old model")
    parser.add_argument("--new", type=Path, required=True, help="checkpoint of the new model")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--seed", type=int, default=2016, help="which photographs are drawn")
    parser.add_argument("--quick", action="store_true", help="a few photographs, as a trial")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    models = [Colorizer.load(path) for path in (chosen.old, chosen.new)]
    photos = read(chosen.photographs, chosen.quick)
    random = np.random.default_rng(chosen.seed)
    for name, count in COUNTS.items():
        among = [photo for photo in photos if name != "people" or photo.scene == "people"]
        drawn = random.permutation(len(among))[:count]
        quadruples = []
        for photo in (among[number] for number in drawn):
            gray_3HW = print_of(photo) if name == "aged" else gray_of(Lab(), photo.image_3HW)
            quadruples.append([*colored(models, gray_3HW), photo.image_3HW])
        rows = [
            [picture for quadruple in quadruples[start : start + BESIDE] for picture in quadruple]
            for start in range(0, len(quadruples), BESIDE)
        ]
        titles = ("old print", *TITLES[1:]) if name == "aged" else TITLES
        sheet = contact_sheet(rows, titles * BESIDE)
        sheet.save(chosen.output / f"{name}.jpg", quality=88)
    with Image.open(SAMPLES / "historical" / "castle_clinton.jpg") as photo:
        pictures = colored(models, functional.pil_to_tensor(photo.convert("RGB")))
    sheet = contact_sheet([pictures], TITLES[:3], box=(640, 480))
    sheet.save(chosen.output / "historical.jpg", quality=88)


def print_of(photo: Photograph) -> Tensor:
    """Return a photograph's old print: 3×H×W uint8."""
    luminance_11HW = aged(Lab().luminance(to_float(photo.image_3HW[None])), photo.key)
    return to_uint8(Lab().decode(luminance_11HW, Lab().gray_chroma(luminance_11HW)))[0]


def colored(models: Sequence[Colorizer], gray_3HW: Tensor) -> list[Picture]:
    """Return a picture, and what each model makes of it, as for a user."""
    gray = functional.to_pil_image(gray_3HW)
    return [gray, *(colorizer(gray) for colorizer in models)]


if __name__ == "__main__":
    main()
