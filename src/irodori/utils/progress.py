"""Progress reports: occasional lines, and a bar on a terminal."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Protocol, Self, TextIO

from rich import progress
from rich.console import Console

EVERY = 5.0
"""Smallest number of seconds between two lines about one task."""
SHARE = 0.1
"""Smallest share of a task's time between two lines, so that long tasks don't fill a log."""
WINDOW = 60.0
"""Seconds of history from which a bar estimates the remaining time."""


class Reporter(Protocol):
    """A function that receives a task's description and its progress."""

    def __call__(self, task: str, done: int = 0, total: int = 0) -> None:
        """Report progress: `done` of `total` items."""


def silent(task: str, done: int = 0, total: int = 0) -> None:
    """Print nothing."""


class Pace:
    """Decides when the next line about a task is due."""

    def __init__(self) -> None:
        self.start = self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether a line is due; if so, it is taken as printed."""
        now = time.monotonic()
        due = now - self._last >= max(EVERY, SHARE * (now - self.start))
        if due:
            self._last = now
        return due


@contextmanager
def waiting(task: str, log: bool = False) -> Iterator[None]:
    """Print what the block does, and every few seconds that it isn't done yet.

    Lines go to stderr; without a terminal, only if the block takes long. Only the first rank
    prints.

    Args:
        task: what is done, in words.
        log: print to stdout, also at the start and without a terminal.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        yield
        return
    ended, pace = Event(), Pace()

    def show(text: str = "") -> None:
        print(f"{task} …{text}", file=sys.stdout if log else sys.stderr, flush=True)

    def repeat() -> None:
        while not ended.wait(EVERY):
            if pace.is_due():
                show(f" {time.monotonic() - pace.start:.0f} s")

    if log or sys.stderr.isatty():
        show()
    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class ProgressLines:
    """A reporter that prints the start of each task, and its progress every few seconds."""

    def __init__(self) -> None:
        self._task = ""
        self._pace = Pace()

    def __call__(self, task: str, done: int = 0, total: int = 0) -> None:
        """Print a line for a new task, or some time after the last line."""
        if task != self._task:
            self._task, self._pace = task, Pace()
        elif not self._pace.is_due():
            return
        share = f" {done:,} of {total:,}" if done else ""
        print(f"{task} …{share}", flush=True)


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """A progress bar on stderr with rate and remaining time; without a terminal, occasional lines.

    Args:
        task: description, such as "writing images"; "" if other lines show the progress.
        total: total number of items.
        done: number of items already done.
        unit: name of the items.
    """

    def __init__(self, task: str, total: int, done: int = 0, unit: str = "images") -> None:
        self.task, self.total, self.unit = task, total, unit
        self.done, self.done_before = done, done
        self._pace = Pace()
        self.console = Console(stderr=True)
        self.visible = sys.stderr.isatty() and total > 1
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(None),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            console=self.console,
            speed_estimate_period=WINDOW,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not self.visible,
        )
        self._number = self._bar.add_task(task, total=total, completed=done, rate="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Count items as done."""
        self.done += count
        seconds = time.monotonic() - self._pace.start
        rate = (self.done - self.done_before) / max(seconds, 1e-9)
        self._bar.update(self._number, completed=self.done, rate=f"{rate:.2f} {self.unit}/s")
        if self.task and not self.visible and self._pace.is_due():
            left = timedelta(seconds=round((self.total - self.done) / rate)) if rate else "?"
            line = f"{self.task}: {self.done:,} of {self.total:,}, {left} left"
            print(line, file=sys.stderr, flush=True)

    def print(self, line: str, file: TextIO | None = None) -> None:
        """Print a line above the bar, from any thread; file None is stderr."""
        file = file or sys.stderr
        if self.visible and file.isatty():
            self.console.out(line, highlight=False)
        else:
            print(line, file=file, flush=True)
