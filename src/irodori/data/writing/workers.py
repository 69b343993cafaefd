"""A process pool that yields results in order."""

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from irodori.utils.errors import IrodoriError

AHEAD = 4
"""Number of tasks per worker that may be queued, running or finished but not yet consumed."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def ordered_results(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Generator[Result, None, None]:
    """Yield `function(task)` for each task, in order, from `jobs` processes (1: this process).

    Raises:
        IrodoriError: a worker process died.
        Exception: any exception of `function`.
    """
    if jobs == 1:
        yield from map(function, tasks)
        return
    # Spawned, since forking a process with threads may hang.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start)
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) > AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise IrodoriError(
            "a worker process died, perhaps for lack of memory: repeat the command "
            "with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    # Ctrl-C reaches all processes of a terminal; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Pillow warns of large images and unusual EXIF; relevant problems become reasons.
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit if the parent was killed; the worker would wait for tasks forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
