"""The pictures that people see: reduced to one size, without anything that tells the method."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pixels = np.ndarray
"""H×W×3 uint8, sRGB."""


def common_size(pictures: Sequence[Pixels], longer: int) -> tuple[int, int]:
    """Return width and height at which all pictures of one photograph are shown.

    None is enlarged, since that could be seen: the size is at most that of the smallest one.

    Args:
        pictures: the first is the true one, whose aspect ratio counts.
        longer: longer side in pixels, at most.
    """
    height, width, _ = pictures[0].shape
    smallest = min(max(picture.shape[:2]) for picture in pictures)
    scale = min(longer, smallest) / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def to_jpeg(pixels_HW3: Pixels, size: tuple[int, int]) -> bytes:
    """Encode a picture at width × height, those of all methods alike and without metadata."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    # Colors are kept as sharp as lightness.
    image.save(file, "jpeg", quality=95, subsampling=0)
    return file.getvalue()


def absurd_hues(pixels_HW3: Pixels) -> Pixels:
    """Paint a photograph in all colors of the rainbow, twice from left to right: not natural."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3)).convert("L")
    # What a fraction beyond 255 is as uint8 depends on the machine.
    hue_W = (np.linspace(0, 511, image.width).astype(int) % 256).astype(np.uint8)
    hue = Image.fromarray(np.tile(hue_W, (image.height, 1)))
    saturation = Image.new("L", image.size, 200)
    return np.asarray(Image.merge("HSV", (hue, saturation, image)).convert("RGB"))


def card(longer: int) -> Pixels:
    """Draw a picture that asks for the answer "natural"."""
    width, height = longer, longer * 3 // 4
    image = Image.new("RGB", (width, height), "#f4f1ea")
    ImageDraw.Draw(image).multiline_text(
        (width / 2, height / 2),
        "No photograph this time.\nPlease answer\nNatural",
        "#1b1e24",
        ImageFont.load_default(width / 14),
        anchor="mm",
        spacing=width / 28,
        align="center",
    )
    return np.asarray(image)
