"""What `irodori colorize` prints: lines for photos, and a bar on a terminal."""

import json
import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from irodori.inference.job.run import Outcome

WINDOW = 60.0
"""Seconds back that the remaining time is estimated from."""
LIKELIEST = 5
"""Scenes of a photo in `--json`."""


class Report(AbstractContextManager["Report"]):
    """Prints results on stdout, errors and notes on stderr, and counts.

    Args:
        total: how many photos there are.
        as_json: print a JSON object for each photo, also for one that couldn't be colorized.
    """

    def __init__(self, total: int, as_json: bool) -> None:
        self.as_json = as_json
        self.start = time.monotonic()
        self.count = self.failures = 0
        self.console = Console(stderr=True)
        self.bar = Progress(
            BarColumn(None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.2f} photos/s"),
            TimeRemainingColumn(),
            console=self.console,
            speed_estimate_period=WINDOW,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not sys.stderr.isatty() or total < 2,
        )
        self.task = self.bar.add_task("", total=total, rate=0.0)

    def __enter__(self) -> "Report":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def error(self, line: str) -> None:
        """Print a line on stderr, from any thread."""
        if self.bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self.console.out(line, highlight=False)

    def outcome(self, outcome: "Outcome") -> None:
        """Print what has become of a photo."""
        for note in outcome.notes:
            self.error(f"{outcome.task}: {note}")
        if outcome.error is not None:
            self.failures += 1
            self.error(f"error: {outcome.task}: {outcome.error}")
        elif outcome.left is not None:
            self.error(f"{outcome.task}: {outcome.left}")
        line = json.dumps(described(outcome)) if self.as_json else str(outcome.target or "")
        if line and not self.bar.disable and sys.stdout.isatty():
            self.console.out(line, highlight=False)
        elif line:
            print(line, flush=True)
        self.count += 1
        rate = self.count / max(time.monotonic() - self.start, 1e-9)
        self.bar.update(self.task, completed=self.count, rate=rate)


def described(outcome: "Outcome") -> dict[str, object]:
    """Return what `--json` says of a photo: sizes are width and height."""
    file = "-" if outcome.task.source is None else str(outcome.task.source)
    if outcome.error is not None:
        return {"file": file, "error": outcome.error}
    if outcome.left is not None:
        return {"file": file, "left": outcome.left}
    scenes = list(outcome.scenes.items())[:LIKELIEST]
    return {
        "file": file,
        "output": str(outcome.target),
        "width": outcome.size[0],
        "height": outcome.size[1],
        "work_size": list(outcome.work_size),
        "seconds": round(outcome.seconds, 3),
        "scenes": {name: round(share, 4) for name, share in scenes},
        "notes": list(outcome.notes),
    }
