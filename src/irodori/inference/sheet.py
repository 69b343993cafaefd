"""Contact sheets: triples of gray, predicted and true pictures."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2 import functional

from irodori.color import ColorSpace, to_float, to_uint8
from irodori.inference.picture_grid import put

BOX = (213, 160)
"""Width and height of the box that a picture fits into, in pixels."""
GAP = 4
"""White between pictures, in pixels."""
TITLE = 20
"""Height of the line of titles, in pixels."""
CAPTION = 18
"""Height of the line below a triple, in pixels."""
TITLES = ("gray", "predicted", "true")


def gray_of(space: ColorSpace, rgb_3HW: Tensor) -> Tensor:
    """What a color space's luminance looks like without color: 3×H×W uint8 → 3×H×W uint8."""
    luminance_11HW, _ = space.encode(to_float(rgb_3HW[None]))
    return to_uint8(space.decode(luminance_11HW, space.gray_chroma(luminance_11HW)))[0]


def sheet(
    rows: Sequence[Sequence[Tensor]],
    titles: Sequence[Sequence[str]] = (TITLES, TITLES),
    captions: Sequence[str] | None = None,
) -> Image.Image:
    """A contact sheet, two triples of pictures (3×H×W uint8) to a line.

    Each picture fits into a box of BOX pixels, centred, so that triples line up.

    Args:
        rows: the triples, from left to right and from top to bottom.
        titles: what stands above the three pictures of the left and of the right triples.
        captions: a line below each triple.
    """
    columns = min(2, len(rows))
    triple = 3 * (BOX[0] + GAP) + 3 * GAP
    height = BOX[1] + GAP + (0 if captions is None else CAPTION)
    lines = -(-len(rows) // columns)
    canvas = Image.new("RGB", (columns * triple - 4 * GAP, TITLE + lines * height - GAP), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(12)
    for number, row in enumerate(rows):
        line, column = divmod(number, columns)
        top = TITLE + line * height
        for place, tensor in enumerate(row):
            left = column * triple + place * (BOX[0] + GAP)
            if line == 0:
                middle = (left + BOX[0] // 2, TITLE // 2)
                draw.text(middle, titles[column][place], "black", anchor="mm", font=font)
            put(canvas, functional.to_pil_image(tensor.cpu()), (left, top), BOX)
        if captions is not None:
            middle = (column * triple + (3 * BOX[0] + 2 * GAP) // 2, top + BOX[1] + CAPTION // 2)
            draw.text(middle, captions[number], "black", anchor="mm", font=font)
    return canvas
