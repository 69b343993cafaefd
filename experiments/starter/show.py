"""The README's picture: `python experiments/starter/show.py`.

The historical photograph and photographs of the sample, none of which the bundled model has seen,
as it colorizes them. Writes before_after.png beside this file.
"""

from pathlib import Path

from PIL import Image
from torchvision.transforms.v2 import functional
from unseen import SAMPLES, read

from irodori import Colorizer
from irodori.color import Lab
from irodori.inference.contact_sheet import GAP, TITLES, Picture, contact_sheet, gray_of

PLACES = (4, 12)
"""Of each shard, the photographs at these places: not chosen by how they come out."""


def main() -> None:
    """Color and lay out."""
    colorizer = Colorizer.load()
    rows = []
    for path in sorted(SAMPLES.glob("sample-*.tar")):
        photos = read(str(path))
        row: list[Picture] = []
        for true_3HW in (photos[place].image_3HW for place in PLACES):
            colored = colorizer(functional.to_pil_image(true_3HW))
            row += [gray_of(Lab(), true_3HW), colored, true_3HW]
        rows.append(row)
    sheet = contact_sheet(rows, TITLES * len(PLACES))
    with Image.open(SAMPLES / "historical" / "castle_clinton.jpg") as photo:
        gray = photo.convert("L")
    side = (sheet.width - GAP) // 2
    box = (side, round(gray.height * side / gray.width))
    pair = contact_sheet([[gray.convert("RGB"), colorizer(gray)]], box=box)
    picture = Image.new("RGB", (sheet.width, pair.height + 2 * GAP + sheet.height), "white")
    picture.paste(pair, (0, 0))
    picture.paste(sheet, (0, pair.height + 2 * GAP))
    picture.save(Path(__file__).with_name("before_after.png"))


if __name__ == "__main__":
    main()
