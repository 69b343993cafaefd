"""The README's picture: `python experiments/starter/show.py` writes before_after.png.

The historical photograph, and photographs of the sample, as the bundled model colorizes them. It
has seen none of them.
"""

from pathlib import Path

from PIL import Image
from torchvision.transforms.v2 import functional
from unseen import SAMPLE, read

from irodori import Colorizer
from irodori.color import Lab
from irodori.config import PROJECT
from irodori.inference.contact_sheet import GAP, TITLES, contact_sheet, gray_of

HISTORICAL = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
EVERY, FIRST, COUNT = 21, 4, 10
"""Photographs of the sample that are shown: not chosen by how they came out."""


def main() -> None:
    """Color and lay out."""
    colorizer = Colorizer.load()
    triples = []
    for photo in read(SAMPLE)[FIRST::EVERY][:COUNT]:
        true = functional.to_pil_image(photo.image_3HW)
        triples.append([gray_of(Lab(), photo.image_3HW), colorizer(true), true])
    rows = [left + right for left, right in zip(triples[::2], triples[1::2], strict=True)]
    sheet = contact_sheet(rows, TITLES * 2)
    with Image.open(HISTORICAL) as photo:
        gray = photo.convert("L")
    width = (sheet.width - GAP) // 2
    box = (width, round(gray.height * width / gray.width))
    pair = contact_sheet([[gray.convert("RGB"), colorizer(gray)]], box=box)
    picture = Image.new("RGB", (sheet.width, pair.height + 2 * GAP + sheet.height), "white")
    picture.paste(pair, (0, 0))
    picture.paste(sheet, (0, pair.height + 2 * GAP))
    picture.save(Path(__file__).with_name("before_after.png"), optimize=True)


if __name__ == "__main__":
    main()
