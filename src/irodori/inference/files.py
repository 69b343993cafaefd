"""Colouring photo files one by one; a bad one is reported and the rest go on."""

import sys
from pathlib import Path

from PIL import Image, ImageOps

from irodori.errors import IrodoriError
from irodori.inference.colorizer import Colorizer


def colorize_files(photos: list[Path], output: Path, checkpoint: Path, style: Path | None) -> int:
    """Write `<output>/<name>.png` for each photo; says on stderr which could not be done.

    Args:
        photos: files that Pillow reads; EXIF orientation is applied.
        output: a folder, made if needed; existing files in it are not overwritten.
        checkpoint: see `load_model`.
        style: see `Colorizer`.

    Returns:
        The number of photos that failed.

    Raises:
        IrodoriError: the checkpoint or the style image can't be read, two photos would get the
            same name, or a result exists already; nothing is written then.
    """
    targets = [output / f"{photo.stem}.png" for photo in photos]
    for place, target in enumerate(targets):
        if target in targets[:place]:
            first = photos[targets.index(target)]
            raise IrodoriError(f"{first} and {photos[place]} would both become {target}")
        if target.exists():
            raise IrodoriError(f"{target} exists already; choose another --output or remove it")
    colorizer = Colorizer.load(checkpoint)
    style_image = None
    if style is not None:
        try:
            style_image = read(style)
        except (OSError, Image.DecompressionBombError) as error:
            raise IrodoriError(f"{style}: {error}") from None
    output.mkdir(parents=True, exist_ok=True)
    failures = 0
    for photo, target in zip(photos, targets, strict=True):
        try:
            image = read(photo)
        except (OSError, Image.DecompressionBombError) as error:
            print(f"error: {photo}: {error}", file=sys.stderr)
            failures += 1
            continue
        colorizer(image, style_image).save(target)
        print(target)
    return failures


def read(path: Path) -> Image.Image:
    """The photo as it is meant to be seen: decoded, EXIF orientation applied."""
    with Image.open(path) as image:
        upright: Image.Image = ImageOps.exif_transpose(image)
        upright.load()
        return upright
