"""How far the work is: a bar on a terminal, nothing elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WINDOW = 60.0
"""Seconds back that the remaining time is estimated from."""


class Meter:
    """Shows done of total with photos a second and the remaining time, on stderr.

    While it is shown, lines are printed through it, so that they don't run into the bar.
    """

    def __init__(self, total: int) -> None:
        self.start = time.monotonic()
        self.count = 0
        self.bar: Progress | None = None
        if sys.stderr.isatty() and total > 1:
            self.bar = Progress(
                BarColumn(None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:.2f} photos/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                speed_estimate_period=WINDOW,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.task = self.bar.add_task("", total=total, rate=0.0)

    def __enter__(self) -> "Meter":
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self) -> None:
        """One more is done."""
        self.count += 1
        if self.bar is not None:
            rate = self.count / max(time.monotonic() - self.start, 1e-9)
            self.bar.update(self.task, completed=self.count, rate=rate)

    def error(self, line: str) -> None:
        """A line for stderr."""
        if self.bar is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self.bar.console.out(line, highlight=False)

    def result(self, line: str) -> None:
        """A line for stdout."""
        if self.bar is None or not sys.stdout.isatty():
            print(line, flush=True)
        else:
            self.bar.console.out(line, highlight=False)
