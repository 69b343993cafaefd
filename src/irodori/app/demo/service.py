"""The service behind the page: models, reading, colorizing and writing a photo, limits."""

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
"""Longer side of previews in pixels: more than a page shows of a photo."""
QUALITY = 90
"""JPEG quality of previews."""
DECODED = 12
"""Bytes that a pixel takes at most; four channels of 16 bits or a progressive JPEG take less."""
KEPT = 2
"""Models in memory: as many as stand side by side."""


class Models:
    """Checkpoints by names that don't tell where they lie.

    Args:
        checkpoints: files or run folders; the bundled model follows them.
        device: where they run.
        trust: names of packages besides irodori whose classes the checkpoints may name.

    Raises:
        IrodoriError: a folder is no run folder. Whether files can be read, `load` says.
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
        """The names of those in memory."""
        return list(self._loaded)

    def load(self, name: str, settings: ColorizeSettings | None = None) -> Colorizer:
        """Return a model that colorizes with these settings.

        Raises:
            IrodoriError: there is no such model, or its checkpoint can't be read.
        """
        if name not in self._paths:
            raise IrodoriError(f"no model {name!r}; there are {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                # Before another is loaded: else there would be one more at a time.
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[name] = Colorizer.load(
                    self._paths[name], device=self.device, trust=self.trust
                )
            self._loaded.move_to_end(name)
            colorizer = copy.copy(self._loaded[name])
        # The copy has the network in common with the one that is kept.
        colorizer.settings = settings or ColorizeSettings()
        return colorizer

    def provenance(self, name: str, settings: ColorizeSettings) -> Provenance:
        """Return what results of a model say of how they were made."""
        return provenance_of(self._paths[name], settings)


@dataclass(frozen=True)
class Limits:
    """Limits of a visitor's photos and requests.

    Args:
        megabytes: of a photo's file, in millions of bytes.
        megapixels: of a photo, in millions.
        photos: at a time.
        seconds: that a photo may take.
        gigabytes: of all visitors' files together.
        waiting: visitors in the queue; more are sent away.
        at_once: visitors whose photos are colorized at the same time.

    Raises:
        IrodoriError: one is out of range.
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
        """Largest size of a file in bytes."""
        return int(self.megabytes * 1e6)

    def refuse(self, path: Path) -> None:
        """Raise IrodoriError for a file that is too large, by its length and its header."""
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


class LeftError(Exception):
    """The visitor has left; nobody waits for the result."""


@dataclass(frozen=True)
class ColorizeRequest:
    """A visitor's request: photos, the names of one or two models, settings, and hints for all."""

    photos: list[Path]
    models: list[str]
    settings: ColorizeSettings = field(default_factory=ColorizeSettings)
    style: Path | None = None
    hints: tuple[Hint, ...] = ()


class Result(NamedTuple):
    """A photo as one model colorized it.

    Attributes:
        model: its name.
        size: width and height of the photo.
        file: the result at this size, in the photo's format and with its metadata.
        scenes: names with probabilities, the likeliest first; empty without classification.
        notes: what was left out or assumed, and what the file's format can't hold.
        takes_hints: whether the model does.
        style_1G: the style photo's global features; None: there is no style photo.
    """

    model: str
    size: tuple[int, int]
    file: Path
    scenes: dict[str, float]
    notes: tuple[str, ...] = ()
    takes_hints: bool = False
    style_1G: Tensor | None = None

    def preview(self, kind: str) -> Path:
        """Return a JPEG for the page: "colorized", "gray", or "style" if there is a style photo."""
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
        """Return what each model makes of one of a request's photos.

        Args:
            request: what is wanted.
            path: of the photo.
            new_folder: makes a folder for a result.
            check: raises LeftError, which ends the work, when the visitor has left.

        Raises:
            IrodoriError: it can't be read, is too large or takes too long, or there is no such
                model, or it has no styles.
            LeftError: see `check`.
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
        """Return a check that also raises IrodoriError once the time limit from now is over."""
        end = time.monotonic() + self.limits.seconds

        def check_time() -> None:
            check()
            if time.monotonic() > end:
                raise IrodoriError(
                    f"takes longer than {self.limits.seconds:g} s: scale the photo down"
                )

        return check_time

    def _read(self, path: Path, what: str = "") -> Photo:
        """Decode a photo if it isn't too large; errors don't tell where it lies."""
        try:
            if not path.is_file():
                raise IrodoriError("isn't here any more: choose it again")
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
    """Return why a photo could not be colorized, in words for its visitor."""
    if isinstance(error, IrodoriError):
        return str(error)
    if is_out_of_memory(error):
        return "not enough memory here: scale the photo down, or try again later"
    return f"could not be colorized ({type(error).__name__}: {one_line(error)})"
