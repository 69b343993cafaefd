"""The service that reads, colorizes and writes visitors' photos, and its models and limits."""

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from irodori.data.images import from_pil
from irodori.imageio import (
    Encoding,
    Photo,
    Provenance,
    format_of,
    pixels_to_pil,
    probe,
    read_photo,
    write_photo,
)
from irodori.inference.colorizer import STARTER, Colorizer, provenance_of
from irodori.inference.contact_sheet import gray_of
from irodori.inference.hints import Hint, with_hints
from irodori.inference.job.inputs import suffix_for
from irodori.inference.luminance import Pixels
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError, check_range, is_out_of_memory, one_line
from irodori.utils.run_files import checkpoint_file, model_name

SHOWN = 1600
"""Longer side of previews in pixels, larger than the page displays."""
QUALITY = 90
"""JPEG quality of previews."""
DECODED = 12
"""Upper bound of the decoded bytes per pixel, above 4×16 bits and progressive JPEGs."""
KEPT = 2
"""Number of models in memory: as many as a request compares."""


class Models:
    """Checkpoints by names that don't reveal their paths.

    Args:
        checkpoints: files or run folders; the bundled model is appended.
        device: device that the models run on.
        trust: names of packages besides irodori whose classes the checkpoints may name.

    Raises:
        IrodoriError: a folder is not a run folder. Files are read by `load` only.
    """

    def __init__(
        self,
        checkpoints: Sequence[Path],
        device: str | torch.device = "cpu",
        trust: Sequence[str] = (),
    ) -> None:
        self.device = device
        self.trust = trust
        self._paths: dict[str, Path] = {}
        for given in (*checkpoints, STARTER):
            name, number = model_name(given), 2
            while name in self._paths:
                name, number = f"{model_name(given)} ({number})", number + 1
            self._paths[name] = checkpoint_file(given)
        self._loaded: OrderedDict[str, Colorizer] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The models' names, in the order of the checkpoints."""
        return list(self._paths)

    @property
    def loaded(self) -> list[str]:
        """The names of the models in memory."""
        return list(self._loaded)

    def load(self, name: str, settings: ColorizeSettings | None = None) -> Colorizer:
        """Return a colorizer of the named model with these settings.

        Raises:
            IrodoriError: there is no such model, or its checkpoint can't be read.
        """
        if name not in self._paths:
            raise IrodoriError(f"no model {name!r}; there are {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                # Before the next one is loaded, so that memory never holds one more.
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[name] = Colorizer.load(
                    self._paths[name], device=self.device, trust=self.trust
                )
            self._loaded.move_to_end(name)
            colorizer = copy.copy(self._loaded[name])
        # The copy shares the network with the cached colorizer.
        colorizer.settings = settings or ColorizeSettings()
        return colorizer

    def provenance(self, name: str, settings: ColorizeSettings) -> Provenance:
        """Return the provenance that results of a model are marked with."""
        return provenance_of(self._paths[name], settings)


@dataclass(frozen=True)
class Limits:
    """Limits of a visitor's photos and requests.

    Args:
        megabytes: largest file of a photo, in millions of bytes.
        megapixels: largest photo, in millions of pixels.
        photos: largest number of photos in a request.
        seconds: longest time that a photo may take.
        gigabytes: largest size of all visitors' files together.
        waiting: longest queue of visitors; further ones are refused.
        at_once: number of visitors whose photos are colorized at the same time.

    Raises:
        IrodoriError: a limit is out of range.
    """

    megabytes: float = 50
    megapixels: float = 50
    photos: int = 20
    seconds: float = 120
    gigabytes: float = 8
    waiting: int = 100
    at_once: int = 1

    def __post_init__(self) -> None:
        check_range("--max-megabytes", self.megabytes, 0.001, 10_000)
        check_range("--max-megapixels", self.megapixels, 0.001, 300)
        check_range("--max-photos", self.photos, 1, 100)
        check_range("--max-seconds", self.seconds, 1, 86_400)
        check_range("--max-gigabytes", self.gigabytes, 0.001, 1_000_000)
        check_range("--waiting", self.waiting, 1, 100_000)
        check_range("--at-once", self.at_once, 1, 1000)

    @property
    def bytes(self) -> int:
        """The largest size of a file in bytes."""
        return int(self.megabytes * 1e6)

    def refuse(self, path: Path) -> None:
        """Raise IrodoriError if a file is too large, according to its length and header."""
        size = path.stat().st_size
        if size > self.bytes:
            raise IrodoriError(
                f"{size / 1e6:.1f} MB are more than the {self.megabytes:g} MB that this page takes"
            )
        header = probe(path)
        megapixels, max_decoded = header.width * header.height / 1e6, self.megapixels * DECODED
        if megapixels > self.megapixels or header.decoded_bytes > max_decoded * 1e6:
            raise IrodoriError(
                f"{megapixels:.1f} million pixels, {header.decoded_bytes / 1e6:.0f} MB decoded;"
                f" this page takes up to {self.megapixels:g} million,"
                f" {max_decoded:.0f} MB: scale the photo down, or use"
                " `irodori colorize`"
            )


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
