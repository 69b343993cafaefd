"""Colorizing many photos in several threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from irodori.imageio import read_photo
from irodori.inference.colorizer import Colorizer, provenance_of
from irodori.inference.hints import Hint
from irodori.inference.job.tasks import JobOptions
from irodori.inference.luminance import Pixels
from irodori.inference.prepared_photo import Colored
from irodori.utils.errors import IrodoriError, is_out_of_memory

STEADY = 64
"""Largest number of photos of a sequence from which its global features are computed."""


class BatchColorizer:
    """Colorizes photos according to the options; may be called from several threads.

    Args:
        options: options of the job.
        photos: the photos of the sequence, with `options.sequence`.
        jobs: number of photos at a time.
        report: called with messages for the user, from any thread.

    Raises:
        IrodoriError: the checkpoint or the style can't be read, the model doesn't support styles or
            hints, or the device doesn't exist.
    """

    def __init__(
        self, options: JobOptions, photos: Sequence[Path], jobs: int, report: Callable[[str], None]
    ) -> None:
        self.threads = torch.get_num_threads()
        settings = options.settings
        if options.sequence:
            # Global features of a sequence don't depend on the individual photo.
            settings = replace(settings, style_strength=1.0)
        self.colorizer = Colorizer.load(
            options.checkpoint,
            settings,
            device_of(options.device),
            report=report,
            trust=options.trust,
        )
        if options.hints is not None:
            self.colorizer.require_hint_support()
        self.provenance = None
        if options.provenance:
            self.provenance = provenance_of(
                options.checkpoint, options.settings, options.source_type, options.label
            )
        # A GPU processes one photo at a time, while others are decoded and encoded.
        on_gpu = self.colorizer.device.type != "cpu"
        self._lock: AbstractContextManager[object] = threading.Lock() if on_gpu else nullcontext()
        self.style_1G: Tensor | None = None
        if options.style is not None:
            self.style_1G = self._global_features(options.style, sharing=1)
        if options.sequence:
            steady_1G = self._steady(photos, jobs, options.page)
            strength = options.settings.style_strength
            if self.style_1G is not None:
                steady_1G = torch.lerp(steady_1G, self.style_1G, strength)
            self.style_1G = steady_1G

    def __call__(self, pixels_HWC: Pixels, sharing: int = 1, hints: Sequence[Hint] = ()) -> Colored:
        """Colorize a photo while `sharing` photos share the CPU cores."""
        # With OpenMP, this only affects the calling thread.
        torch.set_num_threads(max(1, self.threads // sharing))
        with self._lock:
            return self.colorizer.color(pixels_HWC, self.style_1G, hints=hints)

    def _global_features(self, path: Path, sharing: int, page: int | None = None) -> Tensor:
        torch.set_num_threads(max(1, self.threads // sharing))
        try:
            pixels_HWC = read_photo(path, page=page, large=True).pixels
            with self._lock:
                return self.colorizer.global_features([pixels_HWC])
        except Exception as error:
            if is_out_of_memory(error):
                raise IrodoriError(f"{path}: not enough memory: scale it down") from None
            raise

    def _steady(self, paths: Sequence[Path], jobs: int, page: int | None) -> Tensor:
        """Return the mean global features of evenly spaced, readable photos of a sequence."""
        count = min(len(paths), STEADY)
        chosen = [paths[number * len(paths) // count] for number in range(count)]
        seen: list[Tensor] = []
        with ThreadPoolExecutor(jobs) as threads:
            futures = [threads.submit(self._global_features, path, jobs, page) for path in chosen]
            for future in futures:
                try:
                    seen.append(future.result())
                except IrodoriError as error:
                    refusal = error
        if not seen:
            raise refusal
        return torch.stack(seen).mean(0)


def device_of(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "mps".

    Raises:
        IrodoriError: the device isn't available.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((device for device, found in there.items() if found), "cpu")
    if not there.get(name, name == "cpu"):
        raise IrodoriError(
            f"--device is {name}, but PyTorch finds no such device: give cpu or auto"
        )
    return torch.device(name)
