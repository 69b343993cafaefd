"""Sheets of photos colorized in several styles."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from irodori.data.images import from_pil
from irodori.imageio import pixels_to_pil, read_photo
from irodori.inference.colorizer import Colorizer
from irodori.inference.contact_sheet import GAP, Picture, contact_sheet, gray_of
from irodori.utils.errors import IrodoriError

CELL = (256, 192)
"""Width and height in pixels of the box for each picture."""
SIDE = 512
"""Longer side in pixels to which photos are scaled down before colorizing."""


def read_small(paths: Sequence[Path], report: Callable[[str], None]) -> list[Image.Image]:
    """Read photos as 8-bit RGB of at most SIDE × SIDE pixels.

    Args:
        report: called with a message for each unreadable photo, which is skipped.
    """
    photos = []
    for path in paths:
        try:
            image = pixels_to_pil(read_photo(path).pixels)
        except IrodoriError as error:
            report(str(error))
            continue
        image.thumbnail((SIDE, SIDE))
        photos.append(image.convert("RGB"))
    return photos


def size_of(photos: int, styles: int) -> tuple[int, int]:
    """Return width and height in pixels of the sheet of as many photos and styles."""
    return (styles + 1) * (CELL[0] + GAP) - GAP, (photos + 1) * (CELL[1] + GAP) - GAP


def style_sheet(
    colorizer: Colorizer, photos: Sequence[Image.Image], styles: Sequence[Image.Image]
) -> Image.Image:
    """Return a sheet with a row per photo: the gray photo, then its colors in each style.

    Args:
        photos, styles: RGB images.

    Raises:
        IrodoriError: the model has no global features.
    """
    vectors = [colorizer.global_features([np.asarray(style)]) for style in styles]
    rows: list[list[Picture | None]] = [[None, *styles]]
    for photo in photos:
        gray_3HW = gray_of(colorizer.model.space, from_pil(photo))
        colored = [colorizer.color(np.asarray(photo), vector).pixels_HW3 for vector in vectors]
        rows.append([gray_3HW, *map(Image.fromarray, colored)])
    return contact_sheet(rows, box=CELL)
