"""Style transfer: `python experiments/style/grid.py <checkpoint>`.

Photographs of a fold that the checkpoint hasn't seen, each colored with the global features of
each style image. Writes grid.png and results.csv beside this file, and prints the table.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from irodori.color import to_float
from irodori.config import PROJECT
from irodori.data.images import to_short_side
from irodori.data.index import Index, read_index
from irodori.data.samples import Samples
from irodori.inference.contact_sheet import GAP, contact_sheet
from irodori.metrics.chrominance import mean_ab
from irodori.metrics.pair import Pair
from irodori.model import Model, color_pictures, load_model

HERE = Path(__file__).parent
FOLD = 0
PHOTOS = (
    "building_lincoln_memorial",
    "landscape_nonface_24",
    "underwater_fish26",
    "animal_sheep",
    "windmill_windmill13",
)
"""Keys in the fold; each photograph is also a style."""
BOX = (170, 128)


def load() -> list[Tensor]:
    """Return the photographs at validation size, 3×H×W uint8."""
    sample = read_index(PROJECT / "data" / "sample")
    index = Index((sample.shards[FOLD],), sample.classes)
    data = Samples(index)
    keys = list(index.shards[0].keys)
    return [to_short_side(data.image(keys.index(key)), 256) for key in PHOTOS]


def color(model: Model, photos: list[Tensor]) -> list[list[Tensor]]:
    """Return for each photograph its picture in its own style, and in each style."""

    def styled_by(style: Tensor) -> list[Tensor]:
        style_11HW, _ = model.space.encode(to_float(style[None]))

        def network(luminance_B1HW: Tensor) -> tuple[Tensor, Tensor | None]:
            style_B1HW = style_11HW.expand(len(luminance_B1HW), -1, -1, -1)
            colors: tuple[Tensor, Tensor | None] = model.network(luminance_B1HW, style_B1HW)
            return colors

        return color_pictures(network, model.space, photos)[0]

    plain, _ = color_pictures(model.network, model.space, photos)
    styled = [styled_by(style) for style in photos]
    return [[plain[i], *(pictures[i] for pictures in styled)] for i in range(len(photos))]


def measure(pictures: list[list[Tensor]]) -> list[dict[str, str | float]]:
    """Return the difference of each styled picture from the one in its own style."""
    rows: list[dict[str, str | float]] = []
    for photo, (own, *styled) in zip(PHOTOS, pictures, strict=True):
        for style, picture in zip(PHOTOS, styled, strict=True):
            a, b = (mean_ab(picture) - mean_ab(own)).tolist()
            difference = Pair(picture, own).difference.mean().item()
            rows.append({"photo": photo, "style": style, "ciede2000": difference, "a": a, "b": b})
    return rows


def grid(photos: list[Tensor], pictures: list[list[Tensor]]) -> Image.Image:
    """Return a sheet with a row per photograph: true, own style, and each style."""
    rows: list[list[Tensor | None]] = [[None, None, *photos]]
    rows += [[photo, *row] for photo, row in zip(photos, pictures, strict=True)]
    canvas = contact_sheet(rows, box=BOX)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for column, text in enumerate(("true photo", "its own style")):
        place = (column * (BOX[0] + GAP) + BOX[0] // 2, BOX[1] - 10)
        draw.text(place, text, "black", anchor="mm", font=font)
    draw.text(
        (BOX[0], 20), "styles, of which only the gray is seen:", "black", anchor="mm", font=font
    )
    return canvas


def main() -> None:
    """Colorize, measure, and write and print the results."""
    if len(sys.argv) != 2:
        sys.exit("usage: python experiments/style/grid.py <checkpoint trained without fold 0>")
    torch.set_num_threads(1)
    model = load_model(sys.argv[1])
    photos = load()
    pictures = color(model, photos)
    rows = measure(pictures)
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    grid(photos, pictures).save(HERE / "grid.png", optimize=True)
    print("| photo | " + " | ".join(name.split("_")[0] for name in PHOTOS) + " |")
    print("|---" * (1 + len(PHOTOS)) + "|")
    table = np.array([row["ciede2000"] for row in rows]).reshape(len(PHOTOS), len(PHOTOS))
    for name, line in zip(PHOTOS, table, strict=True):
        print(f"| {name.split('_')[0]} | " + " | ".join(f"{value:.2f}" for value in line) + " |")
    others = table[~np.eye(len(PHOTOS), dtype=bool)]
    print(f"\nmean CIEDE2000 to the own style, of other styles: {others.mean():.2f}")


if __name__ == "__main__":
    main()
