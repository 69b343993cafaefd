"""What the user is told, photo by photo."""

import json

from irodori.inference.job.progress import Meter
from irodori.inference.job.work import Outcome

LIKELIEST = 5
"""Scenes that are told of a photo."""


class Report:
    """Tells what becomes of each photo, and counts.

    Results are lines on stdout: the file's path, or all about it as JSON. Errors are lines on
    stderr.

    Args:
        meter: shown meanwhile.
        as_json: a JSON object for each photo, one that couldn't be coloured too.
    """

    def __init__(self, meter: Meter, as_json: bool) -> None:
        self.meter = meter
        self.as_json = as_json
        self.failures = 0

    def tell(self, outcome: Outcome) -> None:
        """One photo is done, or can't be."""
        if outcome.error is not None:
            self.failures += 1
            self.meter.error(f"error: {outcome.task}: {outcome.error}")
        if self.as_json:
            self.meter.result(json.dumps(described(outcome)))
        elif outcome.error is None and outcome.task.target is not None:
            self.meter.result(str(outcome.task.target))
        self.meter.advance()


def described(outcome: Outcome) -> dict[str, object]:
    """What `--json` says of a photo: sizes are width and height."""
    file = "-" if outcome.task.source is None else str(outcome.task.source)
    if outcome.error is not None:
        return {"file": file, "error": outcome.error}
    scenes = list(outcome.scenes.items())[:LIKELIEST]
    return {
        "file": file,
        "output": str(outcome.task.target),
        "width": outcome.size[0],
        "height": outcome.size[1],
        "work_size": list(outcome.work_size),
        "seconds": round(outcome.seconds, 3),
        "scenes": {name: round(share, 4) for name, share in scenes},
    }
