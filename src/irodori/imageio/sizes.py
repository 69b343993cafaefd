"""How large a photo may be."""

from PIL import Image

from irodori.utils.errors import IrodoriError

MAX_PIXELS = 300_000_000
"""Larger photos are refused by their header: a few bytes can claim any size."""

# Pillow's own limit, of 179 megapixels, is lifted for the process: it also counts while TIFFs are
# decoded, and so can't be lifted for a moment. `refuse_size` is asked before anything is decoded.
Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, MAX_PIXELS)


def refuse_size(width: int, height: int) -> None:
    """Raise IrodoriError for more than `MAX_PIXELS`, or none."""
    if width * height > MAX_PIXELS:
        most = MAX_PIXELS // 1_000_000
        raise IrodoriError(f"{width} × {height} pixels; at most {most} megapixels are read")
    if width < 1 or height < 1:
        raise IrodoriError("damaged: it has no pixels")
