"""Pictures in rows and columns."""

from collections.abc import Sequence

from PIL import Image, ImageOps


def put(
    canvas: Image.Image, picture: Image.Image, corner: tuple[int, int], box: tuple[int, int]
) -> None:
    """Put a picture onto a canvas, scaled to fit into a box and centred in it.

    Args:
        corner: left and top of the box, in pixels.
        box: its width and height, in pixels.
    """
    small = ImageOps.contain(picture, box)
    margin = ((box[0] - small.width) // 2, (box[1] - small.height) // 2)
    canvas.paste(small, (corner[0] + margin[0], corner[1] + margin[1]))


def picture_grid(
    rows: Sequence[Sequence[Image.Image | None]], box: tuple[int, int], gap: int
) -> Image.Image:
    """Rows of pictures on white, each fitted into a box; None leaves its place white.

    Args:
        rows: of equal length, from top to bottom, each from left to right.
        box: width and height, in pixels.
        gap: white right of and below each box, in pixels.
    """
    width, height = box[0] + gap, box[1] + gap
    canvas = Image.new("RGB", (len(rows[0]) * width, len(rows) * height), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            if picture is not None:
                put(canvas, picture, (column * width, row * height), box)
    return canvas
