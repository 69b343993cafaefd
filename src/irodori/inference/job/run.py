"""The whole job: a plan's photos are shared out among threads."""

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
"""Bytes for each photo at a time: 32 megapixels. Larger photos wait for each other."""
BY_ROWS = 1_000_000_000
"""Bytes that a photo takes whose rows are read one after the other."""
PER_PIXEL = 36
"""Bytes that a pixel takes besides its decoding: luminance, colors, the encoded result."""
LARGE_WORK_SIZE, TILES = 512, 1 << 30
"""Working size up to which the network's memory doesn't count, and about what it takes above."""
MAX_OVERTAKEN = 16
"""Photos that wait for memory before others aren't looked at, either."""
PATIENCE = 1.0
"""Seconds in which photos that are being written may end when the job ends early."""


Load = Callable[[JobOptions, Sequence[Path], int, Callable[[str], None]], Any]
"""A function that makes a `BatchColorizer`, or an object with its methods."""


@dataclass
class Outcome:
    """The result of one photo.

    target: its file. size, work_size: width and height of the photo and of what the network saw.
    scenes: names with probabilities, the likeliest first. notes: what was left out or assumed.
    hints: their number. left: why it was left as it is. error: why there is no result.
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
    """Load the model as the options say; torch is imported here, while photos are being read."""
    from irodori.inference.batch_colorizer import BatchColorizer

    return BatchColorizer(*arguments)


def colorize_photos(
    plan: Plan, options: JobOptions, report: Callable[[str], None], load: Load = load_model
) -> Generator[Outcome, None, None]:
    """Colorize a plan's photos, and yield what has become of each as it is done, in any order.

    Args:
        plan: what is to be done.
        options: how.
        report: takes lines for the user, from any thread.
        load: makes what colorizes.

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
    """Does tasks, in several threads at a time; `model` is set when it is loaded.

    As many run at a time as there are threads and as fit into `budget` bytes. A photo that doesn't
    fit is overtaken by those that do. One for which memory runs out is tried again alone, and the
    budget becomes half of what it was.
    """

    def __init__(self, plan: Plan, options: JobOptions, report: Callable[[str], None]) -> None:
        self.jobs = min(options.jobs or max(2, available_cores()), max(1, len(plan.tasks)))
        self.budget = min(MEMORY * self.jobs, psutil.virtual_memory().available // 2)
        self.model: Future[Any] = Future()
        self.options, self.encoding, self.report = options, plan.encoding, report
        # A file that is asked for is expected to be there afterwards.
        self.one = not plan.found.sources
        self.targets = {task.target for task in plan.everything}
        self.stopped = threading.Event()
        self.running: dict[Future[Outcome | None], tuple[ColorizeTask, int]] = {}
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="photo")
        self._new, self._waiting = iter(plan.tasks), list[tuple[ColorizeTask, int]]()
        self._left = len(plan.tasks)

    def start_photos(self) -> None:
        """Begin as many photos as fit."""
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
        """Return what has become of a photo that runs no more; None: it is tried again.

        Raises:
            OutputError: the disk is full, or the output can't be written to.
        """
        task, _ = self.running.pop(future)
        outcome = future.result()
        if outcome is None:
            self.report(f"{task}: not enough memory; it is tried again alone")
            self.budget = max(1, self.budget // 2)
            self._waiting.append((task, 1 << 62))  # more than any budget
        else:
            self._left -= 1
        return outcome

    def stop(self) -> None:
        """Begin no more photos, and write none that isn't being written."""
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
        """Return the bytes that a photo takes, by its header."""
        size = self.options.settings.work_size
        network = TILES if size == NATIVE or int(size) > LARGE_WORK_SIZE else 0
        with suppress(Exception):  # what is wrong with the file, reading it says
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
                raise IrodoriError("in color already: give --recolor to colorize it")
            why = "in color already: left as it is (--recolor colorizes it)"
            return Outcome(task, size=size, notes=photo.notes, left=why)
        hints = () if task.hints is None else read_hints(task.hints)
        model = self.model.result()
        colored = model(photo.pixels, 1 if alone else min(self.jobs, self._left), hints)
        encoding, target, notes = self._encoding(task, photo)
        if target != task.target and target is not None:
            if target in self.targets:
                raise IrodoriError(f"{target} is another photo's result: give a --format")
            if os.path.lexists(target) and self.options.resume:
                return Outcome(task, size=size, notes=notes, left=f"done already: {target}")
            if os.path.lexists(target) and not self.options.overwrite:
                raise IrodoriError(f"{target} exists already")
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
        """Return how a result is written, where, and the photo's notes.

        In the format that the user chose, else in the photo's own or what stands for that; and
        where the result's name says another one, by another name.
        """
        target, quality = task.target, self.encoding.quality
        if self.encoding.format is not None or target is None or task.source is None:
            return self.encoding, target, photo.notes
        format = format_of(photo, Encoding())
        own_name = format == photo.format and target.suffix == task.source.suffix
        if own_name or WRITTEN.get(target.suffix.lower(), format) == format:
            return Encoding(format, quality), target, photo.notes
        target = target.with_name(target.name + suffix_for(Path(target.name), format))
        notes = (*photo.notes, f"{format} holds all of it: written as {target.name}")
        return Encoding(format, quality), target, notes


def _reason(task: ColorizeTask, error: Exception) -> str:
    if isinstance(error, IrodoriError):
        # The file is named already.
        return str(error).removeprefix(f"{task.source}: ").removeprefix(f"{task.target}: ")
    if is_out_of_memory(error):
        return "not enough memory, even alone: give a smaller --work-size, or scale it down"
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    return f"{type(error).__name__}: {one_line(error)}"
