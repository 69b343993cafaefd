"""The README's pictures: `python experiments/starter/show.py <sweep folder>`.

The historical photograph, colored by the model that comes along; and photographs of the sample,
each colored by the run of `make study-starter` whose fold it is in, which hasn't seen it. Writes
before_after.png beside this file.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from aged import photographs
from PIL import Image
from torchvision.transforms.v2 import functional

from irodori import Colorizer
from irodori.color import Lab
from irodori.config import PROJECT
from irodori.inference.contact_sheet import GAP, TITLES, contact_sheet, gray_of

HERE = Path(__file__).parent
HISTORICAL = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
PLACES = (4, 12)
"""Of each fold, the photographs at these places: not chosen by how they came out."""


def main() -> None:
    """Color and lay out."""
    triples = []
    for folder in runs(Path(sys.argv[1])):
        fold = yaml.safe_load((folder / "config.yaml").read_text())["data"]["fold"]
        colorizer = Colorizer.load(folder / "checkpoints" / "last.ckpt")
        fold_photographs = list(photographs(fold).values())
        for place in PLACES:
            true_3HW = fold_photographs[place % len(fold_photographs)]
            colored = colorizer(functional.to_pil_image(true_3HW))
            predicted_3HW = torch.from_numpy(np.asarray(colored).copy()).permute(2, 0, 1)
            triples.append([gray_of(Lab(), true_3HW), predicted_3HW, true_3HW])
    rows = [left + right for left, right in zip(triples[::2], triples[1::2], strict=True)]
    sheet = contact_sheet(rows, TITLES * 2)
    pair = before_after(sheet.width)
    picture = Image.new("RGB", (sheet.width, pair.height + 2 * GAP + sheet.height), "white")
    picture.paste(pair, (0, 0))
    picture.paste(sheet, (0, pair.height + 2 * GAP))
    picture.save(HERE / "before_after.png")


def runs(sweep: Path) -> list[Path]:
    """The runs of the recipe, one a fold, in their order."""
    found = {}
    for path in sweep.glob("*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        if config["augmentation"]["age"] > 0:
            found[config["data"]["fold"]] = path.parent
    return [found[fold] for fold in sorted(found)]


def before_after(width: int) -> Image.Image:
    """The historical photograph twice, side by side."""
    with Image.open(HISTORICAL) as photo:
        gray = photo.convert("L")
    colored = Colorizer.load()(gray)
    side = (width - GAP) // 2
    size = (side, round(gray.height * side / gray.width))
    picture = Image.new("RGB", (width, size[1]), "white")
    for place, image in enumerate((gray.convert("RGB"), colored)):
        picture.paste(image.resize(size, Image.Resampling.LANCZOS), (place * (side + GAP), 0))
    return picture


if __name__ == "__main__":
    main()
