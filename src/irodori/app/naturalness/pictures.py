"""The pictures that people see: reduced to one size, without anything that tells the method."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Pixels = np.ndarray
"""H×W×3 uint8, sRGB."""
SHAPE = 0.03
"""Share by which the ratio of sides may differ from the true photograph's: rounded sizes do."""
QUALITY = 95


def same_shape(pixels_HW3: Pixels, true_HW3: Pixels) -> bool:
    """Whether a picture is the true photograph's in another size, and not cropped."""
    (height, width, _), (true_height, true_width, _) = pixels_HW3.shape, true_HW3.shape
    return bool(abs(width * true_height / (height * true_width) - 1) <= SHAPE)


def common_size(pictures: Sequence[Pixels], longer: int) -> tuple[int, int]:
    """Width and height at which all pictures of one photograph are shown.

    None is enlarged, since that could be seen: the size is that of the smallest one at most.

    Args:
        pictures: the first is the true one, whose ratio of sides counts.
        longer: longer side in pixels, at most.
    """
    height, width, _ = pictures[0].shape
    least = min(max(picture.shape[:2]) for picture in pictures)
    scale = min(longer, least) / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def as_jpeg(pixels_HW3: Pixels, size: tuple[int, int]) -> bytes:
    """A file of width × height pixels; all methods' are made alike, and hold no metadata."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return encoded(image)


def encoded(image: Image.Image) -> bytes:
    """The same as a file, its colours as sharp as its lightness."""
    file = io.BytesIO()
    image.save(file, "jpeg", quality=QUALITY, subsampling=0)
    return file.getvalue()


def absurd_hues(pixels_HW3: Pixels) -> Pixels:
    """The photograph in all colours of the rainbow, twice from left to right: not natural."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3)).convert("L")
    # What a fraction beyond 255 is as uint8 depends on the machine.
    hue_W = (np.linspace(0, 511, image.width).astype(int) % 256).astype(np.uint8)
    hue = Image.fromarray(np.ascontiguousarray(np.broadcast_to(hue_W, (image.height, image.width))))
    strong = Image.new("L", image.size, 200)
    return np.asarray(Image.merge("HSV", (hue, strong, image)).convert("RGB"))


def card(longer: int) -> Image.Image:
    """A picture that asks for the answer "natural"."""
    width, height = longer, longer * 3 // 4
    image = Image.new("RGB", (width, height), "#f4f1ea")
    draw = ImageDraw.Draw(image)
    text = "No photograph this time.\nPlease answer\nNatural"
    font = ImageFont.load_default(width / 14)
    draw.multiline_text(
        (width / 2, height / 2), text, "#1b1e24", font, "mm", spacing=width / 28, align="center"
    )
    return image
