"""Correct three photographs with hints: `python experiments/hints/before_after.py`.

The portrait of Eileen Collins (NASA, public domain) comes with scikit-image; the others are of the
sample. The bundled model has seen none of them. Positions were chosen by hand, colors are the true
ones. Writes portrait.jpg and before_after.jpg beside this file.
"""

from pathlib import Path

from PIL import Image, ImageDraw
from skimage.data import astronaut
from torchvision.transforms.v2 import functional

from irodori import Colorizer, Hint
from irodori.config import PROJECT
from irodori.data.opening import ShardOpener
from irodori.data.samples import Samples
from irodori.inference.contact_sheet import Picture, contact_sheet

SAMPLES = PROJECT / "data" / "sample" / "sample-*.tar"
PORTRAIT = ((0.15, 0.625), (0.595, 0.625), (0.38, 0.12), (0.66, 0.18), (0.1, 0.31))
"""Positions (suit, suit, hair, backdrop, flag) as shares of the photograph's width and height."""
PLACES = {
    "building_hawa_mahal": ((0.5, 0.4), (0.25, 0.75)),
    "animal_red_panda": ((0.45, 0.25), (0.93, 0.55), (0.06, 0.25)),
}
SIDE = 5
"""Side in pixels of the square whose mean color is a hint."""
TITLES = ("gray", "colorized", "with hints", "true")


def main() -> None:
    """Colorize the photographs and write the pictures."""
    samples = Samples(ShardOpener().open(str(SAMPLES)))
    numbers = {key: n for n, key in enumerate(k for s in samples.index.shards for k in s.keys)}
    colorizer = Colorizer.load()
    portrait = [corrected(colorizer, Image.fromarray(astronaut()), PORTRAIT)]
    save("portrait.jpg", contact_sheet(portrait, TITLES, box=(320, 320)))
    rows = [
        corrected(colorizer, functional.to_pil_image(samples.image(numbers[key])), places)
        for key, places in PLACES.items()
    ]
    save("before_after.jpg", contact_sheet(rows, TITLES, box=(320, 240)))


def save(name: str, sheet: Image.Image) -> None:
    """Write a picture beside this file."""
    sheet.save(Path(__file__).with_name(name), quality=88)


def corrected(
    colorizer: Colorizer, true: Image.Image, places: tuple[tuple[float, float], ...]
) -> list[Picture]:
    """Return the photograph in gray, colorized, with hints of the true colors, and true."""
    gray = true.convert("L")
    hints = [Hint(x, y, color_at(true, x, y), relative=True) for x, y in places]
    hinted = colorizer(gray, hints=hints)
    draw, radius = ImageDraw.Draw(hinted), round(max(true.size) / 60)
    for hint in hints:
        x, y = hint.x * true.width, hint.y * true.height
        draw.circle((x, y), radius, hint.color, "white", width=max(1, radius // 3))
    return [gray.convert("RGB"), colorizer(gray), hinted, true]


def color_at(image: Image.Image, x: float, y: float) -> str:
    """Return the mean color of the square around a place, "#rrggbb"."""
    left, top = (
        round(share * side) - SIDE // 2 for share, side in zip((x, y), image.size, strict=True)
    )
    mean = image.crop((left, top, left + SIDE, top + SIDE)).resize((1, 1), Image.Resampling.BOX)
    return "#" + bytes(mean.tobytes()).hex()


if __name__ == "__main__":
    main()
