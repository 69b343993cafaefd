"""Lines that say what a command is doing, on a terminal and without one."""

import time
from typing import Protocol

EVERY = 5.0
"""Seconds between two lines about one task."""


class Reporter(Protocol):
    """Takes what is being done, in words, and how much of it is done."""

    def __call__(self, task: str, done: int = 0, total: int = 0) -> None:
        """Take note."""


def silent(task: str, done: int = 0, total: int = 0) -> None:
    """Print nothing."""


class ProgressLines:
    """A reporter that prints each task as it begins, and now and then how far it is."""

    def __init__(self) -> None:
        self._task = ""
        self._printed = 0.0

    def __call__(self, task: str, done: int = 0, total: int = 0) -> None:
        """Print a line where the task is new, or five seconds after the last one."""
        if task != self._task or time.monotonic() - self._printed >= EVERY:
            share = f" {done:,} of {total:,}" if done else ""
            print(f"{task} …{share}", flush=True)
            self._task, self._printed = task, time.monotonic()
