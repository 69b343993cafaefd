"""How far work is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal."""


@contextmanager
def show_progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show on stderr how many of `total` are done; yield a function that adds to their number.

    Args:
        what: the work, such as "writing images".
        done: how many were done before.
    """
    terminal = sys.stderr.isatty()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not terminal,
    )
    with bar:
        number = bar.add_task(what, total=total, completed=done)
        task = bar.tasks[0]
        last_line = time.monotonic()

        def advance(count: int) -> None:
            nonlocal last_line
            bar.advance(number, count)
            now = time.monotonic()
            if not terminal and now - last_line >= LINE_EVERY:
                last_line = now
                left = timedelta(seconds=round(task.time_remaining or 0))
                line = f"{what}: {int(task.completed):,} of {total:,}, {left} left"
                print(line, file=sys.stderr, flush=True)

        yield advance
