"""One photo: read within the limits, coloured by a model, written with a preview."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

import torch
from PIL import Image

from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models
from irodori.data.images import from_pil
from irodori.imageio import Encoding, Photo, format_of, read_photo, write_photo
from irodori.inference.colorizer import Settings, eight_bit
from irodori.inference.job.suffixes import suffix_for
from irodori.inference.luminance import Pixels
from irodori.inference.memory import is_out_of_memory
from irodori.inference.sheet import gray_of
from irodori.utils.errors import IrodoriError, one_line

SHOWN = 1600
"""Longer side of previews in pixels: more than a page shows of a photo."""
QUALITY = 90
"""Of previews, which are JPEG."""


@dataclass(frozen=True)
class Wishes:
    """How photos are to be coloured.

    Args:
        saturation: 0 (gray) to 2.
        style: pixels of an image whose scene decides the colours, H×W×C.
        style_strength: how far it does, 0 to 1.
    """

    saturation: float = 1.0
    style: Pixels | None = None
    style_strength: float = 1.0

    def settings(self) -> Settings:
        """The same for `Colorizer`.

        Raises:
            IrodoriError: one is out of range.
        """
        if not 0 <= self.saturation <= 2:
            raise IrodoriError(f"saturation {self.saturation:g} is not in 0 … 2")
        return Settings(saturation=self.saturation, style_strength=self.style_strength)


class Painted(NamedTuple):
    """What a model made of a photo.

    Attributes:
        model: its name.
        file: the result at the photo's size, in its format and with its metadata.
        preview, gray: JPEGs for the page, of the result and of the photo without colour.
        scenes: names with probabilities, the likeliest first; empty without classification.
    """

    model: str
    file: Path
    preview: Path
    gray: Path
    scenes: dict[str, float]


class Studio:
    """Colours visitors' photos.

    Args:
        models: that can be chosen.
        limits: of what is read.
    """

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models = models
        self.limits = limits

    def read(self, path: Path) -> Photo:
        """A photo, decoded if it isn't too large.

        Raises:
            IrodoriError: it is, or it can't be read; without the name of the file.
        """
        if not path.is_file():
            raise IrodoriError("isn't here any more: choose it again")
        self.limits.refuse(path)
        try:
            return read_photo(path)
        except IrodoriError as error:
            raise IrodoriError(str(error).removeprefix(f"{path}: ")) from None

    def paint(
        self, photo: Photo, name: str, model: str, wishes: Wishes, new_folder: Callable[[], Path]
    ) -> Painted:
        """Colour a photo.

        Args:
            photo: as `read` gives it.
            name: of its file.
            model: one of the models' names.
            wishes: how.
            new_folder: makes a folder for the files.

        Raises:
            IrodoriError: there is no such model or it can't do this, or memory ran out.
        """
        colorizer = self.models.load(model, wishes.settings())
        style_1G = None
        if wishes.style is not None:
            style_1G = colorizer.global_features([wishes.style])
        colored = colorizer.color(photo.pixels, style_1G)
        format = format_of(photo, Encoding())
        folder = new_folder()
        stem, suffix = PurePath(name).stem, suffix_for(PurePath(name), format)
        file = folder / f"{stem}-coloured{suffix}"
        write_photo(file, colored.pixels_HW3, photo, Encoding(format))
        preview, gray = folder / "coloured.jpg", folder / "gray.jpg"
        reduced(colored.pixels_HW3).save(preview, "JPEG", quality=QUALITY)
        gray_3HW = gray_of(colorizer.model.space, from_pil(reduced(photo.pixels)))
        Image.fromarray(gray_3HW.permute(1, 2, 0).numpy()).save(gray, "JPEG", quality=QUALITY)
        return Painted(model, file, preview, gray, colored.scenes)


def reduced(pixels_HWC: Pixels) -> Image.Image:
    """RGB of at most SHOWN × SHOWN pixels."""
    levels_HWC = eight_bit(pixels_HWC)
    image = Image.fromarray(levels_HWC[..., 0] if levels_HWC.shape[2] == 1 else levels_HWC)
    image.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    return image.convert("RGB")


def reason(error: Exception) -> str:
    """Why a photo could not be coloured, in words for its visitor."""
    if isinstance(error, IrodoriError):
        return str(error)
    if is_out_of_memory(error) or isinstance(error, torch.OutOfMemoryError):
        return "not enough memory here: scale the photo down, or try again later"
    return f"could not be coloured ({type(error).__name__}: {one_line(error)})"
