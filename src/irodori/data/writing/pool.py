"""Worker processes: all cores at work, none left over, and a count of what is done."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_bool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from irodori.utils.errors import IrodoriError

TICK = 0.2
"""Seconds between looks at the count of what is done."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class Stopped(Exception):  # noqa: N818  (no error)
    """Raised in a worker when the work is to end early."""


class _Shared:
    """What a worker process knows of the pool; set at its start."""

    done: Any = None
    stop: Any = None
    active: Any = None
    jobs = 1


def advance(count: int) -> None:
    """In a worker: say that `count` more are done. Raises Stopped if the work is to end."""
    with _Shared.done.get_lock():
        _Shared.done.value += count
    if _Shared.stop.value:
        raise Stopped


def cores() -> int:
    """In a worker: how many cores its task may use now, more than one if others have no task."""
    return int(max(1, _Shared.jobs // max(1, _Shared.active.value)))


def _start(done: Any, stop: Any, active: Any, jobs: int) -> None:
    _Shared.done, _Shared.stop, _Shared.active, _Shared.jobs = done, stop, active, jobs
    # Ctrl-C reaches all processes of a terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Pillow warns of large pictures and odd EXIF; what matters becomes a reason.
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent can't end its workers, and they would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(function: Callable[[Task], Result], task: Task) -> Result:
    with _Shared.active.get_lock():
        _Shared.active.value += 1
    try:
        return function(task)
    finally:
        with _Shared.active.get_lock():
            _Shared.active.value -= 1


def run(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    jobs: int,
    on_tick: Callable[[int], None],
) -> Iterator[Result]:
    """Results of `function` over tasks, as they are done, from at most `jobs` processes.

    `function` is called in a worker, and calls `advance` there often: `on_tick` is told the sum
    several times a second, and an early end (an error, Ctrl-C) waits only for that.

    Raises what `function` raises, and IrodoriError if a worker process dies.
    """
    # Spawned: a fork of a process with threads may hang.
    context = get_context("spawn")
    done: Any = context.Value("q", 0)
    active: Any = context.Value("i", 0)
    stop: Any = context.Value(c_bool, False, lock=False)
    workers = max(1, min(jobs, len(tasks)))
    executor = ProcessPoolExecutor(workers, context, _start, (done, stop, active, jobs))
    try:
        waiting = {executor.submit(_work, function, task) for task in tasks}
        while waiting:
            finished, waiting = wait(waiting, TICK, FIRST_COMPLETED)
            for future in finished:
                yield future.result()
            on_tick(done.value)
    except BrokenProcessPool as error:
        raise IrodoriError(
            "a worker process died, perhaps for want of memory: give the same command again, "
            "with fewer --jobs"
        ) from error
    finally:
        stop.value = True
        executor.shutdown(wait=True, cancel_futures=True)
