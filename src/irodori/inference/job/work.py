"""One photo: read, coloured, written."""

import errno
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from irodori.imageio import (
    FORMATS,
    Encoding,
    Photo,
    format_of,
    read_photo,
    write_photo,
)
from irodori.inference.job.plan import Task
from irodori.inference.job.suffixes import WRITTEN
from irodori.inference.job.turns import Stopped, Turns
from irodori.utils.errors import IrodoriError, one_line

if TYPE_CHECKING:
    # Imported where a photo has been read, so that reading doesn't wait for torch.
    from irodori.inference.job.painter import Painter


@dataclass
class Clock:
    """Seconds of the calling thread's own on a core; exact where torch uses one thread."""

    read: float = 0.0
    color: float = 0.0
    write: float = 0.0


@dataclass
class Outcome:
    """What has become of a photo.

    size: width and height, of the photo; work_size: of what the network saw. scenes: names with
    probabilities, the likeliest first. seconds: from its turn to its result. error: why there is no
    result.
    """

    task: Task
    clock: Clock
    size: tuple[int, int] = (0, 0)
    work_size: tuple[int, int] = (0, 0)
    scenes: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None


class OutputError(IrodoriError):
    """Results can't be written at all."""


class Work:
    """Does tasks, in several threads at a time.

    Args:
        turns: what limits them.
        painter: comes when it is loaded; photos are read before.
        format: of the results, Pillow's name; None: each photo's own.
        quality: of the results, None: the format's default.
        say: takes lines for the user.
        network_pixels: the network's memory for a photo, as if it were so many pixels more.
    """

    def __init__(
        self,
        turns: Turns,
        painter: "Future[Painter]",
        format: str | None,
        quality: int | None,
        say: Callable[[str], None],
        network_pixels: int = 0,
    ) -> None:
        self.turns = turns
        self.painter = painter
        self.format = format
        self.quality = quality
        self.say = say
        self.network_pixels = network_pixels

    def do(self, task: Task) -> Outcome:
        """Colour a photo. When memory runs out it is tried again, alone.

        Raises:
            OutputError: the disk is full, or the output can't be written to.
            Stopped: the work is to end.
        """
        try:
            pixels = pixels_of(task) + self.network_pixels
            with self.turns.turn(pixels) as turn:
                try:
                    return self._try(task)
                except Exception as error:
                    if not (turn.shared and _out_of_memory(error)):
                        raise
                    photos = self.turns.fewer()
            self.say(f"{task}: not enough memory; tried again alone, others {photos} at a time")
            with self.turns.turn(pixels, alone=True):
                return self._try(task)
        except (OutputError, Stopped):
            raise
        except Exception as error:
            return Outcome(task, Clock(), error=_reason(task, error))

    def _try(self, task: Task) -> Outcome:
        start, clock = time.monotonic(), Clock()
        began = time.thread_time()
        source = sys.stdin.buffer.read() if task.source is None else task.source
        photo = read_photo(source)
        clock.read = time.thread_time() - began
        painter = self.painter.result()
        self.turns.check()
        began = time.thread_time()
        colored = painter(photo.pixels, self.turns.sharing)
        clock.color = time.thread_time() - began
        self.turns.check()
        began = time.thread_time()
        self._write(task, colored.pixels_HW3, photo)
        clock.write = time.thread_time() - began
        height, width = photo.pixels.shape[:2]
        return Outcome(
            task,
            clock,
            (width, height),
            (colored.work_size[1], colored.work_size[0]),
            colored.scenes,
            time.monotonic() - start,
        )

    def _write(self, task: Task, pixels_HW3: np.ndarray, photo: Photo) -> None:
        target = sys.stdout.buffer if task.target is None else task.target
        try:
            write_photo(target, pixels_HW3, photo, self._encoding(task, photo))
        except IrodoriError as error:
            # A name can be too long for the output where it isn't for the photo; all else that
            # the system refuses is the same for all photos. Encoders' errors have no number.
            system = error.__context__
            if not isinstance(system, OSError) or system.errno in (None, errno.ENAMETOOLONG):
                raise
            name = "standard output" if task.target is None else task.target
            reason = system.strerror or one_line(system)
            raise OutputError(f"{name}: can't be written ({reason})") from None

    def _encoding(self, task: Task, photo: Photo) -> Encoding:
        """The format that was chosen, or that the result's name says, or the photo's own."""
        format = self.format
        if format is None and task.target is not None and task.source is not None:
            kept = task.target.suffix == task.source.suffix and photo.format in FORMATS
            # A photo's own format, where it has transparency and its format none, is no own one.
            kept = kept and format_of(photo, Encoding(None)) == photo.format
            format = None if kept else WRITTEN.get(task.target.suffix.lower())
        return Encoding(format, self.quality)


def pixels_of(task: Task) -> int:
    """How many pixels a photo has by its header; of a file that isn't one, some number."""
    if task.source is None:
        return 0
    try:
        with Image.open(task.source) as image:
            return image.width * image.height
    except Exception:
        # What it is becomes clear when it is read; its length bounds what Pillow doesn't know.
        return os.path.getsize(task.source) if os.path.isfile(task.source) else 0  # noqa: PTH113, PTH202


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, in the error itself or in what it came from."""
    from irodori.inference.memory import is_out_of_memory

    while error is not None and not is_out_of_memory(error):
        error = error.__context__
    return error is not None


def _reason(task: Task, error: Exception) -> str:
    if isinstance(error, IrodoriError):
        # The file is named already.
        return str(error).removeprefix(f"{task.source}: ").removeprefix(f"{task.target}: ")
    if _out_of_memory(error):
        return "not enough memory, even alone: give a smaller --work-size, or scale it down"
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    return f"{type(error).__name__}: {one_line(error)}"
