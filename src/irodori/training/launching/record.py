"""The record of a job, in its folder's job.json."""

import json
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from irodori.metrics.catalog import MAIN
from irodori.training.launching.job import Job
from irodori.training.stopping import REQUEUE
from irodori.utils.files import replacing
from irodori.utils.run_files import JOB, METRICS

SEARCH = "search.json"
"""The file that makes a sweep's folder one of a search: its space, and each job's values."""

Status = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Record:
    """The content of job.json."""

    job: int
    status: Status
    overrides: list[str]
    varied: list[str]
    exit_status: int | None = None
    """Negative: the signal that ended the job."""
    error: str | None = None
    """The last line that says what went wrong."""

    def ended(self, exit_status: int, lines: Sequence[str], told_to_stop: bool) -> "Record":
        """Return the record at the job's end, by its exit status and its last lines of output."""
        if exit_status == 0:
            return replace(self, status="done", exit_status=0)
        if exit_status == REQUEUE or told_to_stop:
            return replace(self, status="stopped", exit_status=exit_status)
        error = last_error(lines)
        # A shell and the launcher of several ranks say 128 + n for signal n.
        killed_by = -exit_status if exit_status < 0 else exit_status - 128
        if killed_by in set(signal.Signals):
            error = f"killed by {signal.Signals(killed_by).name}"
            if killed_by == signal.SIGKILL:
                error += ", as the system does when memory runs out"
        return replace(self, status="failed", exit_status=exit_status, error=error)

    def __str__(self) -> str:
        """Return how the job ended, in a few words."""
        if self.status == "failed":
            return f"job {self.job} failed: {self.error} (exit status {self.exit_status})"
        return f"job {self.job} {self.status}"


def last_error(lines: Sequence[str]) -> str:
    """Return the last of these lines that names an error, or else the last one."""
    for line in reversed(lines):
        name = line.split(":")[0]
        if name == "error" or (name.isprintable() and name.endswith(("Error", "Exception"))):
            return line.removeprefix("error: ")
    return next((line for line in reversed(lines) if line.strip()), "no output")


def record_of(job: Job, status: Status = "waiting", error: str | None = None) -> Record:
    """Return the record of a job that has no exit status yet."""
    return Record(job.number, status, list(job.overrides), list(job.varied), error=error)


def write(folder: Path, record: Record) -> None:
    """Write job.json, whole or not at all."""
    with replacing(folder / JOB) as file:
        file.write(json.dumps(asdict(record), indent=2).encode() + b"\n")


def read(folder: Path) -> Record | None:
    """Return the record in a job's folder, if there is one."""
    path = folder / JOB
    return Record(**json.loads(path.read_text())) if path.exists() else None


def read_all(sweep: Path) -> list[tuple[Path, Record]]:
    """Return folders and records of a sweep's jobs, by number."""
    found = [(path.parent, Record(**json.loads(path.read_text()))) for path in sweep.rglob(JOB)]
    return sorted(found, key=lambda pair: pair[1].job)


def score(folder: Path) -> float | None:
    """Return the main metric of a done job's best checkpoint; None of any other."""
    known = read(folder)
    best = rows(folder).get("best") if known and known.status == "done" else None
    return float(best[MAIN]) if best else None


def rows(folder: Path) -> dict[str, Any]:
    """Return the rows of a job's metrics.json; none if it hasn't come so far."""
    path = folder / METRICS
    found: dict[str, Any] = json.loads(path.read_text())["rows"] if path.exists() else {}
    return found
