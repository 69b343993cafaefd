"""Contact sheets of pictures in rows and columns, with titles and captions."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2 import functional

from irodori.color import ColorSpace, to_float, to_uint8

Picture = Image.Image | Tensor
"""A PIL image, or 3×H×W uint8."""
BOX = (213, 160)
"""Width and height in pixels of the box for each picture."""
GAP = 4
"""Gap between boxes in pixels."""
LINE = 20
"""Height of a line of text in pixels."""
TITLES = ("gray", "predicted", "true")


def gray_of(space: ColorSpace, rgb_3HW: Tensor) -> Tensor:
    """Return the gray version of an image in a color space: 3×H×W uint8."""
    luminance_11HW, _ = space.encode(to_float(rgb_3HW[None]))
    return to_uint8(space.decode(luminance_11HW, space.gray_chroma(luminance_11HW)))[0]


def contact_sheet(
    rows: Sequence[Sequence[Picture | None]],
    titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    box: tuple[int, int] = BOX,
) -> Image.Image:
    """Arrange rows of pictures on white, each scaled to fit into a box and centered.

    Args:
        rows: rows of equal length, from top to bottom; None leaves a box white.
        titles: text above each column.
        captions: texts below each row, evenly spaced.
        box: width and height of the boxes in pixels.
    """
    width = len(rows[0]) * (box[0] + GAP) - GAP
    row_height = box[1] + GAP + (LINE if captions else 0)
    header = LINE if titles else 0
    canvas = Image.new("RGB", (width, header + len(rows) * row_height - GAP), "white")
    _write(canvas, titles, 0)
    for number, row in enumerate(rows):
        top = header + number * row_height
        for column, picture in enumerate(row):
            if picture is not None:
                _put(canvas, picture, (column * (box[0] + GAP), top), box)
        if captions:
            _write(canvas, captions[number], top + box[1])
    return canvas


def _put(
    canvas: Image.Image, picture: Picture, corner: tuple[int, int], box: tuple[int, int]
) -> None:
    image = functional.to_pil_image(picture.cpu()) if isinstance(picture, Tensor) else picture
    scale = min(box[0] / image.width, box[1] / image.height)
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    margin = ((box[0] - small.width) // 2, (box[1] - small.height) // 2)
    canvas.paste(small, (corner[0] + margin[0], corner[1] + margin[1]))


def _write(canvas: Image.Image, texts: Sequence[str], top: int) -> None:
    """Write texts side by side, evenly spaced and centered."""
    draw = ImageDraw.Draw(canvas)
    for number, text in enumerate(texts):
        share = canvas.width / len(texts)
        middle = (round((number + 0.5) * share), top + LINE // 2)
        draw.text(middle, text, "black", font=_font(text, share), anchor="mm")


def _font(text: str, width: float) -> ImageFont.FreeTypeFont:
    """Return matplotlib's font at the largest size that fits the text."""
    sizes = map(_font_of_size, range(14, 7, -1))
    return next((font for font in sizes if font.getlength(text) <= width), _font_of_size(7))


@cache
def _font_of_size(size: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, size)
