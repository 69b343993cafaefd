"""Progress reports: occasional lines, and a bar on a terminal."""

import sys
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol, Self, TextIO

from rich import progress
from rich.console import Console

EVERY = 5.0
"""Seconds between two lines about a task."""
WINDOW = 60.0
"""Seconds of history from which a bar estimates the remaining time."""


class Reporter(Protocol):
    """A function that receives a task's description and its progress."""

    def __call__(self, task: str, done: int = 0, total: int = 0) -> None:
        """Report progress: `done` of `total` items."""


def silent(task: str, done: int = 0, total: int = 0) -> None:
    """Print nothing."""


class ProgressLines:
    """A reporter that prints the start of each task, and its progress every few seconds."""

    def __init__(self) -> None:
        self._task = ""
        self._printed = 0.0

    def __call__(self, task: str, done: int = 0, total: int = 0) -> None:
        """Print a line for a new task, or some seconds after the last line."""
        if task != self._task or time.monotonic() - self._printed >= EVERY:
            share = f" {done:,} of {total:,}" if done else ""
            print(f"{task} …{share}", flush=True)
            self._task, self._printed = task, time.monotonic()


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
        self.start = self._printed = time.monotonic()
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
        now = time.monotonic()
        rate = (self.done - self.done_before) / max(now - self.start, 1e-9)
        self._bar.update(self._number, completed=self.done, rate=f"{rate:.2f} {self.unit}/s")
        if self.task and not self.visible and now - self._printed >= EVERY:
            self._printed = now
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
