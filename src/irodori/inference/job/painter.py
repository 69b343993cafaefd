"""A model set up for one command."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from irodori.imageio import read_photo
from irodori.inference.colorizer import STEADY, WORK_SIZE, Colored, Colorizer, Settings
from irodori.inference.job.options import Options
from irodori.inference.luminance import Pixels
from irodori.inference.memory import is_out_of_memory
from irodori.utils.errors import IrodoriError


class Painter:
    """Colours photos as the options say, for several threads.

    Args:
        options: checked.
        sequence: photos that share one global feature vector, if `options.sequence`.
        jobs: photos at a time.
        say: takes lines for the user, from any thread.

    Raises:
        IrodoriError: the checkpoint or the style can't be read, the model has no global features
            to take from a style, or there is no such device.
    """

    def __init__(
        self,
        options: Options,
        sequence: Sequence[Path],
        jobs: int,
        say: Callable[[str], None],
    ) -> None:
        self.threads = torch.get_num_threads()
        size = options.work_size
        settings = Settings(
            # The settings' None is the photo's own size.
            work_size=WORK_SIZE if size is None else size if isinstance(size, int) else None,
            saturation=options.saturation,
            # A sequence's photos have nothing of their own in their global features.
            style_strength=1.0 if options.sequence else options.style_strength,
        )
        self.colorizer = Colorizer.load(
            options.checkpoint,
            settings,
            device_of(options.device),
            say=say,
            trust=options.trust,
        )
        # A GPU works on one photo at a time, while others are decoded and encoded.
        on_gpu = self.colorizer.device.type == "cuda"
        self._lock: AbstractContextManager[object] = threading.Lock() if on_gpu else nullcontext()
        self.style_1G: Tensor | None = None
        if options.style is not None:
            self.style_1G = self._global_features(options.style, sharing=1)
        if options.sequence:
            steady_1G = self._steady(sequence, jobs)
            if self.style_1G is None:
                self.style_1G = steady_1G
            else:
                self.style_1G = torch.lerp(steady_1G, self.style_1G, options.style_strength)

    def __call__(self, pixels_HWC: Pixels, sharing: int = 1) -> Colored:
        """Colour a photo while `sharing` photos share the processor's cores."""
        # Counts for the calling thread alone, with OpenMP; so that each sets it for itself.
        torch.set_num_threads(max(1, self.threads // sharing))
        with self._lock:
            return self.colorizer.color(pixels_HWC, self.style_1G)

    def _global_features(self, path: Path, sharing: int) -> Tensor:
        torch.set_num_threads(max(1, self.threads // sharing))
        try:
            pixels_HWC = read_photo(path).pixels
            with self._lock:
                return self.colorizer.global_features([pixels_HWC])
        except Exception as error:
            if is_out_of_memory(error):
                raise IrodoriError(f"{path}: not enough memory: scale it down") from None
            raise

    def _steady(self, paths: Sequence[Path], jobs: int) -> Tensor:
        """The mean over photos spread evenly over a sequence, but for those that can't be read."""
        count = min(len(paths), STEADY)
        chosen = [paths[number * len(paths) // count] for number in range(count)]
        seen: list[Tensor] = []
        with ThreadPoolExecutor(jobs) as threads:
            begun = [threads.submit(self._global_features, path, jobs) for path in chosen]
            for future in begun:
                try:
                    seen.append(future.result())
                except IrodoriError as error:
                    refusal = error
        if not seen:
            raise refusal
        return torch.stack(seen).mean(0)


def device_of(name: str) -> torch.device:
    """The device that is meant by "auto", "cpu" or "cuda".

    Raises:
        IrodoriError: there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise IrodoriError("--device is cuda, but PyTorch finds no such GPU: give cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
