"""The service that reads, colorizes and writes visitors' photos."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models
from irodori.data.images import from_pil
from irodori.imageio import Encoding, Photo, format_of, pixels_to_pil, read_photo, write_photo
from irodori.inference.contact_sheet import gray_of
from irodori.inference.hints import Hint, with_hints
from irodori.inference.job.names import suffix_for
from irodori.inference.luminance import Pixels
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError, is_out_of_memory, one_line

SHOWN = 1600
"""Longer side of previews in pixels, larger than the page displays."""
QUALITY = 90
"""JPEG quality of previews."""


class VisitorLeftError(Exception):
    """Raised when the visitor has left, so that nobody waits for the result."""


@dataclass(frozen=True)
class ColorizeRequest:
    """A visitor's request: photos, one or two model names, settings, and hints for all photos."""

    photos: list[Path]
    models: list[str]
    settings: ColorizeSettings = field(default_factory=ColorizeSettings)
    style: Path | None = None
    hints: tuple[Hint, ...] = ()


class Result(NamedTuple):
    """A photo as one model colorized it.

    Attributes:
        model: name of the model.
        size: width and height of the photo in pixels.
        file: the result at full size, in the photo's format and with its metadata.
        scenes: scene probabilities by name, most likely first; empty without classification.
        notes: what was omitted or assumed, and what the file format can't store.
        takes_hints: whether the model accepts hints.
        style_1G: global features of the style photo; None without one.
    """

    model: str
    size: tuple[int, int]
    file: Path
    scenes: dict[str, float]
    notes: tuple[str, ...] = ()
    takes_hints: bool = False
    style_1G: Tensor | None = None

    def preview(self, kind: str) -> Path:
        """Return a preview's JPEG file; kind: "colorized", "gray", or "style" if there is one."""
        return self.file.with_name(f"{kind}.jpg")


class ColorizeService:
    """Colorizes visitors' photos with the models, within the limits."""

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models = models
        self.limits = limits
        self._turns = threading.Semaphore(limits.at_once)

    def colorize(
        self,
        request: ColorizeRequest,
        path: Path,
        new_folder: Callable[[], Path],
        check: Callable[[], None] = lambda: None,
    ) -> tuple[Result, ...]:
        """Colorize one photo of a request with each of its models.

        Args:
            request: the models, settings and hints to use.
            path: path of the photo.
            new_folder: creates a folder for a result.
            check: called repeatedly; raises VisitorLeftError to stop once the visitor has left.

        Raises:
            IrodoriError: the photo can't be read, is too large or takes too long, or the model
                doesn't exist or doesn't support styles.
            VisitorLeftError: see `check`.
        """
        with self._turns:
            check_time = self.with_time_limit(check)
            style = None if request.style is None else self._read(request.style, "style photo: ")
            photo = self._read(path)
            results = []
            for name in request.models:
                check_time()
                colorizer = self.models.load(name, request.settings)
                style_1G = None if style is None else colorizer.global_features([style.pixels])
                colored = colorizer.color(photo.pixels, style_1G, check_time, request.hints)
                format = format_of(photo, Encoding())
                file = new_folder() / f"{path.stem[:200]}-colorized{suffix_for(path, format)}"
                provenance = self.models.provenance(name, request.settings)
                provenance = with_hints(provenance, len(request.hints))
                lost = write_photo(file, colored.pixels_HW3, photo, Encoding(format), provenance)
                size = (photo.pixels.shape[1], photo.pixels.shape[0])
                takes_hints = colorizer.model.network.hint_channels > 0
                notes = photo.notes + lost
                result = Result(name, size, file, colored.scenes, notes, takes_hints, style_1G)
                gray_3HW = gray_of(colorizer.model.space, from_pil(reduced(photo.pixels)))
                gray = Image.fromarray(gray_3HW.permute(1, 2, 0).numpy())
                previews = {"colorized": reduced(colored.pixels_HW3), "gray": gray}
                if style is not None:
                    previews["style"] = reduced(style.pixels)
                for kind, image in previews.items():
                    image.save(result.preview(kind), "JPEG", quality=QUALITY)
                results.append(result)
        return tuple(results)

    def with_time_limit(self, check: Callable[[], None]) -> Callable[[], None]:
        """Return a check that also raises IrodoriError once the time limit has passed from now."""
        end = time.monotonic() + self.limits.seconds

        def check_time() -> None:
            check()
            if time.monotonic() > end:
                raise IrodoriError(
                    f"takes longer than {self.limits.seconds:g} s: scale the photo down"
                )

        return check_time

    def _read(self, path: Path, what: str = "") -> Photo:
        """Decode a photo if it isn't too large; errors don't reveal its path."""
        try:
            if not path.is_file():
                raise IrodoriError("no longer exists: choose it again")
            self.limits.refuse(path)
            return read_photo(path)
        except IrodoriError as error:
            raise IrodoriError(what + str(error).removeprefix(f"{path}: ")) from None


def reduced(pixels_HWC: Pixels) -> Image.Image:
    """Return RGB of at most SHOWN × SHOWN pixels."""
    image = pixels_to_pil(pixels_HWC)
    image.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    return image.convert("RGB")


def reason(error: Exception) -> str:
    """Return why a photo could not be colorized, as shown to the visitor."""
    if isinstance(error, IrodoriError):
        return str(error)
    if is_out_of_memory(error):
        return "not enough memory here: scale the photo down, or try again later"
    return f"could not be colorized ({type(error).__name__}: {one_line(error)})"
