"""Photos against styles: each photo with the scene of each style image."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms.v2 import functional

from irodori.data.images import from_pil
from irodori.imageio import read_photo
from irodori.inference.colorizer import Colorizer, eight_bit
from irodori.inference.picture_grid import picture_grid
from irodori.inference.sheet import gray_of
from irodori.utils.errors import IrodoriError

CELL = (256, 192)
"""Width and height of the box that a picture is fitted into, in pixels."""
GAP = 4
"""White between boxes, in pixels."""
SIDE = 512
"""Longer photos are scaled down to this before they are colored, in pixels."""


def read_small(paths: Sequence[Path], told: Callable[[str], None]) -> list[Image.Image]:
    """Photos as 8-bit RGB of at most SIDE × SIDE pixels.

    Args:
        told: takes a line for each that can't be read; it is left out.
    """
    photos = []
    for path in paths:
        try:
            levels_HWC = eight_bit(read_photo(path).pixels)
        except IrodoriError as error:
            told(str(error))
            continue
        image = Image.fromarray(levels_HWC.squeeze(2) if levels_HWC.shape[2] == 1 else levels_HWC)
        image.thumbnail((SIDE, SIDE))
        photos.append(image.convert("RGB"))
    return photos


def style_sheet(
    colorizer: Colorizer, photos: Sequence[Image.Image], styles: Sequence[Image.Image]
) -> Image.Image:
    """A row a photo: its gray, and then in the style of each image that stands on top.

    Args:
        photos, styles: RGB.

    Raises:
        IrodoriError: the model has no global features to take from a style.
    """
    vectors = [colorizer.global_features([np.asarray(style)]) for style in styles]
    rows: list[list[Image.Image | None]] = [[None, *styles]]
    for photo in photos:
        gray_3HW = gray_of(colorizer.model.space, from_pil(photo))
        colored = [colorizer.color(np.asarray(photo), vector).pixels_HW3 for vector in vectors]
        rows.append([functional.to_pil_image(gray_3HW), *map(Image.fromarray, colored)])
    return picture_grid(rows, CELL, GAP)
