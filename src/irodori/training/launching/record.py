"""The record of a job in job.json."""

import json
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from irodori.metrics.catalog import MAIN
from irodori.training.launching.job import Job
from irodori.training.stopping import REQUEUE
from irodori.utils.files import replacing
from irodori.utils.run_files import JOB, METRICS

SEARCH = "search.json"
"""File of a search in the sweep's folder: its space, and the values of each job."""

Status = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Record:
    """The content of job.json."""

    job: int
    status: Status
    overrides: list[str]
    varied: list[str]
    exit_status: int | None = None
    """Exit status; negative for the signal that ended the job."""
    error: str | None = None
    """Last error line in the output."""

    def __str__(self) -> str:
        """Return a short description of how the job ended."""
        if self.status == "failed":
            return f"job {self.job} failed: {self.error} (exit status {self.exit_status})"
        return f"job {self.job} {self.status}"


def last_error(lines: Sequence[str]) -> str:
    """Return the last line that names an error, or else the last line."""
    for line in reversed(lines):
        name = line.split(":")[0]
        if name == "error" or (name.isprintable() and name.endswith(("Error", "Exception"))):
            return line.removeprefix("error: ")
    return next((line for line in reversed(lines) if line.strip()), "no output")


def note(
    job: Job, status: Status = "waiting", exit_status: int | None = None, error: str | None = None
) -> Record:
    """Write a job's job.json atomically, and return its content."""
    overrides, varied = list(job.overrides), list(job.varied)
    record = Record(job.number, status, overrides, varied, exit_status, error)
    with replacing(job.folder / JOB) as file:
        file.write(json.dumps(asdict(record), indent=2).encode() + b"\n")
    return record


def note_end(job: Job, exit_status: int, lines: Sequence[str], was_stopped: bool) -> Record:
    """Record how a job ended, by its exit status and last lines of output."""
    if exit_status == 0:
        return note(job, "done", exit_status)
    if exit_status == REQUEUE or was_stopped:
        return note(job, "stopped", exit_status)
    error = last_error(lines)
    if -exit_status in set(signal.Signals):
        error = f"killed by {signal.Signals(-exit_status).name}"
        if exit_status == -signal.SIGKILL:
            error += ", as the system does when memory runs out"
            # That rank has printed the error; Lightning then kills the first one.
            error += ", or because another rank failed" if job.devices > 1 else ""
    return note(job, "failed", exit_status, error)


def read(folder: Path) -> Record | None:
    """Return the record in a job's folder, if any."""
    path = folder / JOB
    return Record(**json.loads(path.read_text())) if path.exists() else None


def read_all(sweep: Path) -> list[tuple[Path, Record]]:
    """Return folders and records of a sweep's jobs, ordered by number."""
    found = [(path.parent, Record(**json.loads(path.read_text()))) for path in sweep.rglob(JOB)]
    return sorted(found, key=lambda pair: pair[1].job)


def score(folder: Path) -> float | None:
    """Return the main metric of a finished job's best checkpoint; None for other jobs."""
    known = read(folder)
    best = rows(folder).get("best") if known and known.status == "done" else None
    return float(best[MAIN]) if best else None


def rows(folder: Path) -> dict[str, Any]:
    """Return the rows of a job's metrics.json; empty if it doesn't exist yet."""
    path = folder / METRICS
    found: dict[str, Any] = json.loads(path.read_text())["rows"] if path.exists() else {}
    return found
