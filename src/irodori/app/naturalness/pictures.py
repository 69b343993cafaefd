"""The pictures that people see: equal in size, without anything that reveals the method."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pixels = np.ndarray
"""H×W×3 uint8, sRGB."""


def common_size(pictures: Sequence[Pixels], longer: int) -> tuple[int, int]:
    """Return the width and height at which all pictures of a photograph are shown.

    No picture is enlarged, since that would be visible: the smallest one limits the size.

    Args:
        pictures: the first is the true one, which determines the aspect ratio.
        longer: largest longer side in pixels.
    """
    height, width, _ = pictures[0].shape
    smallest = min(max(picture.shape[:2]) for picture in pictures)
    scale = min(longer, smallest) / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def to_jpeg(pixels_HW3: Pixels, size: tuple[int, int]) -> bytes:
    """Resize a picture to width × height and encode it, the same way for every method."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    # No chroma subsampling.
    image.save(file, "jpeg", quality=95, subsampling=0)
    return file.getvalue()


def absurd_hues(pixels_HW3: Pixels) -> Pixels:
    """Color a photograph unnaturally: twice through all hues from left to right."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3)).convert("L")
    # Casting floats above 255 to uint8 is platform-dependent.
    hue_W = (np.linspace(0, 511, image.width).astype(int) % 256).astype(np.uint8)
    hue = Image.fromarray(np.tile(hue_W, (image.height, 1)))
    saturation = Image.new("L", image.size, 200)
    return np.asarray(Image.merge("HSV", (hue, saturation, image)).convert("RGB"))


def card(longer: int) -> Pixels:
    """Draw a card that asks for the answer "natural"."""
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
