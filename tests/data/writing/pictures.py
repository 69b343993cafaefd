"""Made-up photographs as files of every kind."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A colorful picture, smooth enough for JPEG; width×height."""
    random = np.random.default_rng(number)
    x = np.linspace(0, 1, size[0])[None, :, None]
    y = np.linspace(0, 1, size[1])[:, None, None]
    start, across, down = random.uniform(20, 230, (3, 3))
    pixels = start + (across - start) * x + (down - start) * y
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The image as a file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def put(path: Path, content: bytes) -> Path:
    """Write a file with the folders it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tree(root: Path, count: int = 30, classes: tuple[str, ...] = ("cat", "dog", "sea")) -> Path:
    """`count` fitting JPEGs in class folders."""
    for number in range(count):
        content = encoded(picture(number, (60, 50)), quality=90)
        put(root / classes[number % len(classes)] / f"photo{number:03d}.jpg", content)
    return root
