"""The README's picture: `python experiments/starter/show.py`.

The historical photograph and photographs of the sample, none of which the bundled model has seen,
as it colorizes them. Writes before_after.png beside this file.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from irodori import Colorizer
from irodori.color import Lab
from irodori.config import PROJECT
from irodori.data.images import to_short_side
from irodori.data.index import read_index
from irodori.data.samples import Samples
from irodori.inference.contact_sheet import GAP, TITLES, contact_sheet, gray_of

HERE = Path(__file__).parent
SAMPLE = PROJECT / "data" / "sample"
HISTORICAL = SAMPLE / "historical" / "castle_clinton.jpg"
PLACES = (4, 12)
"""Of each shard, the photographs at these places: not chosen by how they come out."""


def main() -> None:
    """Color and lay out."""
    colorizer = Colorizer.load()
    triples = [triple(colorizer, true_3HW) for true_3HW in photographs()]
    rows = [left + right for left, right in zip(triples[::2], triples[1::2], strict=True)]
    sheet = contact_sheet(rows, TITLES * 2)
    pair = before_after(colorizer, sheet.width)
    picture = Image.new("RGB", (sheet.width, pair.height + 2 * GAP + sheet.height), "white")
    picture.paste(pair, (0, 0))
    picture.paste(sheet, (0, pair.height + 2 * GAP))
    picture.save(HERE / "before_after.png")


def photographs() -> list[Tensor]:
    """The sample's photographs at `PLACES`, 3×H×W uint8."""
    index = read_index(SAMPLE)
    samples = Samples(index)
    chosen = [
        start + place % len(shard)
        for start, shard in zip(index.starts, index.shards, strict=False)
        for place in PLACES
    ]
    return [to_short_side(samples.image(int(number)), 256) for number in chosen]


def triple(colorizer: Colorizer, true_3HW: Tensor) -> list[Tensor]:
    """A photograph in gray, as the model colorizes it, and as it is."""
    colored = np.asarray(colorizer(functional.to_pil_image(true_3HW)))
    predicted_3HW = torch.from_numpy(colored.copy()).permute(2, 0, 1)
    return [gray_of(Lab(), true_3HW), predicted_3HW, true_3HW]


def before_after(colorizer: Colorizer, width: int) -> Image.Image:
    """The historical photograph twice, side by side."""
    with Image.open(HISTORICAL) as photo:
        gray = photo.convert("L")
    side = (width - GAP) // 2
    size = (side, round(gray.height * side / gray.width))
    picture = Image.new("RGB", (width, size[1]), "white")
    for place, image in enumerate((gray.convert("RGB"), colorizer(gray))):
        picture.paste(image.resize(size, Image.Resampling.LANCZOS), (place * (side + GAP), 0))
    return picture


if __name__ == "__main__":
    main()
