"""The whole job: a plan's photos are shared out among threads."""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from irodori.inference.job.leftovers import remove_leftovers
from irodori.inference.job.options import Options
from irodori.inference.job.plan import Plan, Task
from irodori.inference.job.turns import Stopped, Turns
from irodori.inference.job.work import Outcome, Work

if TYPE_CHECKING:
    from irodori.inference.job.painter import Painter

PIXELS = 32_000_000
"""Pixels in flight for each photo at a time; larger photos wait for each other."""
BYTES = 40
"""Memory that a pixel in flight takes, about: decoded, its luminance and colours, encoded."""
SMALL = 512
"""Working sizes up to which the network's memory doesn't count."""
TILES = 1 << 30
"""Bytes that the network may take for a tile, about."""
THREAD = "photo"
"""Name of the threads."""
PATIENCE = 2.0
"""Seconds in which a thread may end when the work ends early."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_painter(plan: Plan, options: Options, jobs: int, say: Callable[[str], None]) -> "Painter":
    """The model as the options say, which says when memory runs short; torch is imported here."""
    from irodori.inference.job.painter import Painter

    paths = [task.source for task in plan.everything if task.source is not None]
    return Painter(options, paths, jobs, say)


def color_photos(
    plan: Plan,
    options: Options,
    say: Callable[[str], None],
    load: "Callable[[Plan, Options, int, Callable[[str], None]], Painter]" = make_painter,
) -> Generator[Outcome, None, None]:
    """Colour a plan's photos, and yield what has become of each as it is done.

    The first photos are read while the model is loaded.

    Args:
        plan: what is to be done.
        options: checked.
        say: takes lines for the user, from any thread.
        load: makes what colours.

    Raises:
        IrodoriError: the model can't be loaded, or results can't be written.
    """
    jobs = min(options.jobs or cores(), max(1, len(plan.tasks)))
    turns = Turns(jobs, pixel_budget(jobs), len(plan.tasks))
    seen = network_pixels(options.work_size)
    painter: Future[Painter] = Future()
    work = Work(turns, painter, plan.format, options.quality, say, seen)
    remove_leftovers(task.target for task in plan.tasks if task.target is not None)
    with _threads(work, plan.tasks, jobs) as done:
        try:
            painter.set_result(load(plan, options, jobs, say))
        except BaseException:
            turns.stop()
            painter.set_exception(Stopped())
            raise
        for _ in plan.tasks:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            turns.finished()
            yield outcome


def pixel_budget(jobs: int) -> int:
    """Pixels in flight: what `jobs` photos of usual size have, and half of free memory bears."""
    return min(PIXELS * jobs, psutil.virtual_memory().available // 2 // BYTES)


def network_pixels(work_size: int | str | None) -> int:
    """Memory that the network takes for a photo, in pixels in flight.

    At the usual working sizes next to nothing; at larger ones, tiles take what tiles may.
    """
    small = work_size is None or (isinstance(work_size, int) and work_size <= SMALL)
    return 0 if small else TILES // BYTES


@contextmanager
def _threads(
    work: Work, tasks: list[Task], jobs: int
) -> Iterator["queue.SimpleQueue[Outcome | BaseException]"]:
    """Threads that do the tasks, and a queue of what has become of them."""
    waiting = deque(tasks)
    done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()

    def go() -> None:
        while waiting:
            try:
                task = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            try:
                done.put(work.do(task))
            except Stopped:
                return
            except BaseException as error:
                done.put(error)
                return

    # Daemons: a thread in the middle of a large photo doesn't hold up who wants to leave.
    threads = [threading.Thread(target=go, name=THREAD, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        work.turns.stop()
        end = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if at_work():
            # What they are writing will never be whole.
            remove_leftovers(task.target for task in tasks if task.target is not None)


def at_work() -> bool:
    """Whether threads are in the middle of a photo still, after an early end."""
    return any(thread.name == THREAD for thread in threading.enumerate())
