"""Running a plan: photos are colorized in several threads."""

import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from irodori.imageio import (
    WRITTEN,
    Encoding,
    OutputError,
    Photo,
    format_of,
    is_colored,
    probe,
    read_photo,
    write_photo,
)
from irodori.inference.hints import read_hints, with_hints
from irodori.inference.job.inputs import suffix_for
from irodori.inference.job.tasks import ColorizeTask, JobOptions, Plan
from irodori.inference.settings import NATIVE
from irodori.utils.cores import available_cores
from irodori.utils.errors import IrodoriError, is_out_of_memory, one_line
from irodori.utils.files import remove_stale_files

MEMORY = 1_280_000_000
"""Memory budget per concurrent photo in bytes, for 32 megapixels; larger photos wait."""
BY_ROWS = 1_000_000_000
"""Memory in bytes of a photo that is processed row by row."""
PER_PIXEL = 36
"""Memory per pixel in bytes besides decoding: luminance, colors, and the encoded result."""
LARGE_WORK_SIZE, TILES = 512, 1 << 30
"""Working size below which the network's memory is neglected, and approximate bytes per pixel
above."""
MAX_OVERTAKEN = 16
"""Largest number of photos waiting for memory; then no further ones are considered."""
PATIENCE = 1.0
"""Seconds that photos being written may take to finish when the job is stopped."""


Load = Callable[[JobOptions, Sequence[Path], int, Callable[[str], None]], Any]
"""A function that returns a `BatchColorizer` or an object with its methods."""


@dataclass
class Outcome:
    """The result of one photo.

    target: file of the result. size, work_size: width and height of the photo and of the network's
    input. scenes: probabilities by name, most likely first. notes: what was omitted or assumed.
    hints: number of hints. left: why the photo was skipped. error: why there is no result.
    """

    task: ColorizeTask
    target: Path | None = None
    size: tuple[int, int] = (0, 0)
    work_size: tuple[int, int] = (0, 0)
    scenes: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    hints: int = 0
    left: str | None = None
    error: str | None = None


def load_model(*arguments: Any) -> Any:
    """Load the model; imports torch while photos are being read."""
    from irodori.inference.batch_colorizer import BatchColorizer

    return BatchColorizer(*arguments)


def colorize_photos(
    plan: Plan, options: JobOptions, report: Callable[[str], None], load: Load = load_model
) -> Generator[Outcome, None, None]:
    """Colorize a plan's photos, and yield the outcomes in order of completion.

    Args:
        plan: photos to colorize.
        options: options of the job.
        report: called with messages for the user, from any thread.
        load: returns the colorizer.

    Raises:
        IrodoriError: the model can't be loaded, or results can't be written.
    """
    job = _Job(plan, options, report)
    targets = [task.target for task in plan.tasks if task.target is not None]
    remove_stale_files(targets)
    try:
        job.start_photos()  # they are read while the model is loaded
        photos = [task.source for task in plan.everything if task.source is not None]
        job.model.set_result(load(options, photos, job.jobs, report))
        while job.running:
            done, _ = wait(job.running, return_when=FIRST_COMPLETED)
            outcomes = [outcome for future in done if (outcome := job.finish(future))]
            job.start_photos()
            yield from outcomes
    finally:
        job.stop()
        remove_stale_files(targets)


class _Job:
    """Runs tasks in several threads; `model` is set once it is loaded.

    Concurrent tasks are limited by the number of threads and by `budget` bytes. Smaller photos
    overtake one that doesn't fit. If memory runs out, the photo is retried alone, and the budget is
    halved.
    """

    def __init__(self, plan: Plan, options: JobOptions, report: Callable[[str], None]) -> None:
        self.jobs = min(options.jobs or max(2, available_cores()), max(1, len(plan.tasks)))
        self.budget = min(MEMORY * self.jobs, psutil.virtual_memory().available // 2)
        self.model: Future[Any] = Future()
        self.options, self.encoding, self.report = options, plan.encoding, report
        # An explicitly named output file must exist afterwards.
        self.one = not plan.found.sources
        self.targets = {task.target for task in plan.everything}
        self.stopped = threading.Event()
        self.running: dict[Future[Outcome | None], tuple[ColorizeTask, int]] = {}
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="photo")
        self._new, self._waiting = iter(plan.tasks), list[tuple[ColorizeTask, int]]()
        self._left = len(plan.tasks)

    def start_photos(self) -> None:
        """Start as many photos as fit."""
        self._waiting = [one for one in self._waiting if not self._start(*one)]
        while len(self.running) < self.jobs and len(self._waiting) < MAX_OVERTAKEN:
            task = next(self._new, None)
            if task is None:
                break
            if not self._start(task, cost := self._cost(task)):
                self._waiting.append((task, cost))

    def _start(self, task: ColorizeTask, cost: int) -> bool:
        taken = sum(cost for _, cost in self.running.values())
        if self.running and (len(self.running) >= self.jobs or taken + cost > self.budget):
            return False
        alone = self.jobs == 1 or cost >= self.budget
        self.running[self._pool.submit(self._colorize, task, alone)] = task, cost
        return True

    def finish(self, future: Future[Outcome | None]) -> Outcome | None:
        """Return the outcome of a finished photo; None if it will be retried.

        Raises:
            OutputError: the disk is full, or the output can't be written to.
        """
        task, _ = self.running.pop(future)
        outcome = future.result()
        if outcome is None:
            self.report(f"{task}: not enough memory; retrying it alone")
            self.budget = max(1, self.budget // 2)
            self._waiting.append((task, 1 << 62))  # more than any budget
        else:
            self._left -= 1
        return outcome

    def stop(self) -> None:
        """Start no more photos, and write none that isn't already being written."""
        self.stopped.set()
        if not self.model.done():
            self.model.set_exception(IrodoriError("stopped"))
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait([future for future in self.running if not future.cancelled()], PATIENCE)

    def _colorize(self, task: ColorizeTask, alone: bool) -> Outcome | None:
        try:
            return self._try(task, alone)
        except OutputError:
            raise
        except Exception as error:
            if not alone and is_out_of_memory(error):
                return None
            return Outcome(task, error=_reason(task, error))

    def _cost(self, task: ColorizeTask) -> int:
        """Return the memory that a photo takes in bytes, according to its header."""
        size = self.options.settings.work_size
        network = TILES if size == NATIVE or int(size) > LARGE_WORK_SIZE else 0
        with suppress(Exception):  # errors are reported when the file is read
            if task.source is not None:
                header = probe(task.source, page=self.options.page, large=True)
                if header.is_large:
                    return network + BY_ROWS
                return network + header.decoded_bytes + PER_PIXEL * header.width * header.height
        return network

    def _try(self, task: ColorizeTask, alone: bool) -> Outcome:
        start = time.monotonic()
        source = sys.stdin.buffer.read() if task.source is None else task.source
        photo = read_photo(source, page=self.options.page, large=True)
        size = (photo.pixels.shape[1], photo.pixels.shape[0])
        if is_colored(photo) and not self.options.recolor:
            if self.one:
                raise IrodoriError("already in color: give --recolor to colorize it")
            why = "already in color: skipped (--recolor colorizes it)"
            return Outcome(task, size=size, notes=photo.notes, left=why)
        hints = () if task.hints is None else read_hints(task.hints)
        encoding, target, notes = self._encoding(task, photo)
        if target != task.target and target is not None:
            if target in self.targets:
                raise IrodoriError(f"{target} is the result of another photo: give a --format")
            if os.path.lexists(target) and self.options.resume:
                return Outcome(task, size=size, notes=notes, left=f"done already: {target}")
            if os.path.lexists(target) and not self.options.overwrite:
                raise IrodoriError(f"{target} already exists")
        model = self.model.result()
        colored = model(photo.pixels, 1 if alone else min(self.jobs, self._left), hints)
        if self.stopped.is_set():
            raise IrodoriError("stopped")
        provenance = model.provenance and with_hints(model.provenance, len(hints))
        stream = target or sys.stdout.buffer
        sign = None
        if signer := self.options.signer:
            original = source if isinstance(source, bytes) else source.read_bytes()
            sign = partial(signer.sign, original, photo.format, provenance)
        notes += write_photo(stream, colored.pixels_HW3, photo, encoding, provenance, sign)
        if self.options.dates and task.source is not None and target is not None:
            times = task.source.stat()
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
        seen = (colored.work_size[1], colored.work_size[0])
        seconds = time.monotonic() - start
        return Outcome(task, target, size, seen, colored.scenes, seconds, notes, len(hints))

    def _encoding(
        self, task: ColorizeTask, photo: Photo
    ) -> tuple[Encoding, Path | None, tuple[str, ...]]:
        """Return the encoding and target of a result, and the photo's notes.

        The format is the user's choice, or else the photo's or its replacement; the target is
        renamed if its suffix doesn't match.
        """
        target, quality = task.target, self.encoding.quality
        if self.encoding.format is not None or target is None or task.source is None:
            return self.encoding, target, photo.notes
        format = format_of(photo, Encoding())
        own_name = format == photo.format and target.suffix == task.source.suffix
        if own_name or WRITTEN.get(target.suffix.lower(), format) == format:
            return Encoding(format, quality), target, photo.notes
        target = target.with_name(target.name + suffix_for(Path(target.name), format))
        notes = (*photo.notes, f"needs {format}: written as {target.name}")
        return Encoding(format, quality), target, notes


def _reason(task: ColorizeTask, error: Exception) -> str:
    if isinstance(error, IrodoriError):
        # The message already names the file.
        return str(error).removeprefix(f"{task.source}: ").removeprefix(f"{task.target}: ")
    if is_out_of_memory(error):
        return "not enough memory, even alone: choose a smaller --work-size, or scale it down"
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    return f"{type(error).__name__}: {one_line(error)}"
