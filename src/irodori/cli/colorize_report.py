"""The output of `irodori colorize`: a line per photo, and a progress bar on a terminal."""

import json
import sys
from typing import TYPE_CHECKING

from irodori.utils.progress import ProgressBar

if TYPE_CHECKING:
    from irodori.inference.job.run import Outcome

LIKELIEST = 5
"""Number of scenes per photo in the output of `--json`."""


class Report(ProgressBar):
    """A progress bar that prints results on stdout, errors and notes on stderr.

    Args:
        total: number of photos.
        as_json: print a JSON object for each photo, including those that couldn't be colorized.
    """

    def __init__(self, total: int, as_json: bool) -> None:
        super().__init__("", total, unit="photos")
        self.as_json = as_json
        self.failures = 0

    def outcome(self, outcome: "Outcome") -> None:
        """Print the outcome of a photo, and advance the bar."""
        for note in outcome.notes:
            self.print(f"{outcome.task}: {note}")
        if outcome.error is not None:
            self.failures += 1
            self.print(f"error: {outcome.task}: {outcome.error}")
        elif outcome.left is not None:
            self.print(f"{outcome.task}: {outcome.left}")
        line = json.dumps(described(outcome)) if self.as_json else str(outcome.target or "")
        if line:
            self.print(line, sys.stdout)
        self.advance()


def described(outcome: "Outcome") -> dict[str, object]:
    """Return the JSON object for a photo; sizes are width and height."""
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
        "hints": outcome.hints,
        "notes": list(outcome.notes),
    }
