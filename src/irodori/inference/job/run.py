"""The whole job: a plan's photos are shared out among threads."""

import errno
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from irodori.imageio import (
    WRITTEN,
    Encoding,
    Photo,
    Provenance,
    format_of,
    is_colored,
    probe,
    read_photo,
    with_sidecar,
    write_photo,
)
from irodori.inference.hints import read_hints, with_hints
from irodori.inference.job.names import suffix_for
from irodori.inference.job.queue import Admission, AdmissionQueue
from irodori.inference.job.tasks import ColorizeTask, JobOptions, Plan
from irodori.inference.settings import NATIVE
from irodori.utils.cores import available_cores
from irodori.utils.errors import IrodoriError, is_out_of_memory, one_line
from irodori.utils.files import remove_stale_files

MEMORY = 1_280_000_000
"""Bytes for each photo at a time: 32 megapixels. Larger photos wait for each other."""
PER_PIXEL = 36
"""Bytes that a pixel takes besides its decoding: luminance, colors, the encoded result."""
LARGE_WORK_SIZE, TILES = 512, 1 << 30
"""Working size up to which the network's memory doesn't count, and about what it takes above."""
PATIENCE = 1.0
"""Seconds in which photos that are being written may end when the job ends early."""


class OutputError(IrodoriError):
    """Results can't be written at all."""


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
    jobs = min(options.jobs or max(2, available_cores()), max(1, len(plan.tasks)))
    job = _Job(plan, options, jobs, report)
    outcomes: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            while admission := job.queue.take():
                if outcome := job.colorize(admission):
                    outcomes.put(outcome)
        except BaseException as error:
            outcomes.put(error)

    targets = [task.target for task in plan.tasks if task.target is not None]
    remove_stale_files(targets)
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="photo")
    working = [pool.submit(work) for _ in range(jobs)]
    try:
        photos = [task.source for task in plan.everything if task.source is not None]
        job.model.set_result(load(options, photos, jobs, report))
        for _ in plan.tasks:
            outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        job.stop()
        pool.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + PATIENCE
        while not all(future.done() for future in working) and time.monotonic() < end:
            time.sleep(0.01)
        remove_stale_files(targets)


class _Job:
    """Does tasks, in several threads at a time; `model` is set when it is loaded."""

    def __init__(
        self, plan: Plan, options: JobOptions, jobs: int, report: Callable[[str], None]
    ) -> None:
        budget = min(MEMORY * jobs, psutil.virtual_memory().available // 2)
        self.queue = AdmissionQueue(plan.tasks, self._cost, budget, jobs)
        self.model: Future[Any] = Future()
        self.options, self.encoding, self.report = options, plan.encoding, report
        # A file that is asked for is expected to be there afterwards.
        self.one = not plan.found.sources
        self.targets = {task.target for task in plan.everything}
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Begin no more photos, and write none that isn't being written."""
        self.stopped.set()
        self.queue.stop()
        if not self.model.done():
            self.model.set_exception(IrodoriError("stopped"))

    def colorize(self, admission: Admission[ColorizeTask]) -> Outcome | None:
        """Colorize a photo; None: memory ran out, and it is tried again alone.

        Raises:
            OutputError: the disk is full, or the output can't be written to.
        """
        task, retry = admission.task, False
        try:
            return self._try(admission)
        except OutputError:
            raise
        except Exception as error:
            retry = admission.shared and is_out_of_memory(error)
            if retry:
                self.report(f"{task}: not enough memory; it is tried again alone")
                return None
            return Outcome(task, error=_reason(task, error))
        finally:
            self.queue.release(admission, retry)

    def _cost(self, task: ColorizeTask) -> int:
        """Return the bytes that a photo takes, by its header."""
        size = self.options.settings.work_size
        network = TILES if size == NATIVE or int(size) > LARGE_WORK_SIZE else 0
        with suppress(Exception):  # what is wrong with the file, reading it says
            if task.source is not None:
                header = probe(task.source)
                return network + header.decoded_bytes + PER_PIXEL * header.width * header.height
        return network

    def _try(self, admission: Admission[ColorizeTask]) -> Outcome:
        start, task = time.monotonic(), admission.task
        source = sys.stdin.buffer.read() if task.source is None else task.source
        photo = _with_sidecar(read_photo(source, page=self.options.page), task.source)
        size = (photo.pixels.shape[1], photo.pixels.shape[0])
        if is_colored(photo) and not self.options.recolor:
            if self.one:
                raise IrodoriError("in color already: give --recolor to colorize it")
            why = "in color already: left as it is (--recolor colorizes it)"
            return Outcome(task, size=size, notes=photo.notes, left=why)
        hints = () if task.hints is None else read_hints(task.hints)
        model = self.model.result()
        colored = model(photo.pixels, self.queue.sharing(admission), hints)
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
        self._write(target, colored.pixels_HW3, photo, encoding, provenance)
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

    def _write(
        self,
        target: Path | None,
        pixels_HW3: np.ndarray,
        photo: Photo,
        encoding: Encoding,
        provenance: Provenance | None,
    ) -> None:
        try:
            write_photo(target or sys.stdout.buffer, pixels_HW3, photo, encoding, provenance)
        except IrodoriError as error:
            # A name can be too long for the output where it isn't for the photo; all else that
            # the system refuses is the same for all photos. Encoders' errors have no number.
            system = error.__context__
            if not isinstance(system, OSError) or system.errno in (None, errno.ENAMETOOLONG):
                raise
            reason = system.strerror or one_line(system)
            raise OutputError(
                f"{target or 'standard output'}: can't be written ({reason})"
            ) from None


def _with_sidecar(photo: Photo, source: Path | None) -> Photo:
    """Return the photo with what an `.xmp` file beside it says: `a.xmp` or `a.jpg.xmp`."""
    if source is not None:
        for sidecar in (source.with_name(source.name + ".xmp"), source.with_suffix(".xmp")):
            if os.path.isfile(sidecar):  # noqa: PTH113  (Path's own raises for long names)
                try:
                    metadata = with_sidecar(photo.metadata, sidecar.read_bytes())
                except (ValueError, OSError) as error:
                    note = f"{sidecar.name} left out: {one_line(error)}"
                    return replace(photo, notes=(*photo.notes, note))
                return replace(photo, metadata=metadata)
    return photo


def _reason(task: ColorizeTask, error: Exception) -> str:
    if isinstance(error, IrodoriError):
        # The file is named already.
        return str(error).removeprefix(f"{task.source}: ").removeprefix(f"{task.target}: ")
    if is_out_of_memory(error):
        return "not enough memory, even alone: give a smaller --work-size, or scale it down"
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    return f"{type(error).__name__}: {one_line(error)}"
