"""How far the work is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal."""


class Meter:
    """Shows done of total with the rate in images a second and the remaining time, on stderr."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self.first = done
        self.start = self.last = time.monotonic()
        self.bar: Progress | None = None
        if sys.stderr.isatty():
            self.bar = Progress(
                BarColumn(None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:,.0f} images/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.bar.add_task("", total=total, completed=done, rate=0.0)

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

    def update(self, count: int) -> None:
        """`count` are done since the start of this process."""
        now = time.monotonic()
        rate = count / max(now - self.start, 1e-9)
        done = self.first + count
        if self.bar is not None:
            self.bar.update(self.task, completed=done, rate=rate)
        elif now - self.last >= LINE_EVERY and rate:
            self.last = now
            left = round((self.total - done) / rate)
            print(
                f"{done:,} of {self.total:,} images, {rate:,.0f} images/s, "
                f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left",
                file=sys.stderr,
                flush=True,
            )
