"""The summary of a sweep: a table in the terminal, summary.csv, and its exit status."""

import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from irodori.config.overrides import quoted
from irodori.metrics.catalog import MAIN
from irodori.metrics.results import CONSOLE
from irodori.runs.run import resume_command
from irodori.training.launching.job import SEARCH, Record, read_records, rows_of
from irodori.training.stopping import REQUEUE
from irodori.utils.files import write_csv
from irodori.utils.run_files import CONFIG

STOPPED_IN_TIME = (REQUEUE, -signal.SIGTERM)
"""Exit statuses of jobs ended by SIGTERM: with a checkpoint, or before they had started."""

COLUMNS = {name: (name, MAIN) for name in ("best", "last", "mean_color", "gray")}
COLUMNS["accuracy"] = ("best", "accuracy")
"""Columns of the summary: title, row of metrics.json, and metric."""

Jobs = Sequence[tuple[Path, Record]]
"""Jobs of a sweep with their run folders."""


class SweepSummary(Callback):
    """Reports for each job of a sweep the varied overrides, how it ended, and its metrics."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, write summary.csv, and exit with status 1 unless all jobs are done.

        Hydra's sweepers don't support failed jobs while others continue, so the exit status is set
        here. It is 75 if the only missing jobs were stopped and can be resumed.
        """
        try:
            status = summarize(Path(config.hydra.sweep.dir).resolve())
        except Exception:
            # Hydra would turn an exception into a warning, and exit with status 0.
            traceback.print_exc()
            status = 1
        if status:
            sys.exit(status)


def summarize(sweep: Path) -> int:
    """Print and write the summary of the sweep in this folder; return its exit status."""
    jobs = read_records(sweep)
    CONSOLE.print(_table(jobs))
    _write_csv(sweep / "summary.csv", jobs)
    for folder, job in jobs:
        if job.status == "failed":
            print(f"job {job.job} failed: {job.error} (see {folder / 'output.log'})")
        elif job.status == "stopped":
            started = (folder / CONFIG).exists()
            hint = f"resume with: {resume_command(folder)}" if started else "it had hardly started"
            print(f"job {job.job} was stopped; {hint}")
    # A search doesn't repeat failed jobs.
    settled = ("done", "failed") if (sweep / SEARCH).exists() else ("done",)
    if any(job.status not in settled for _, job in jobs):
        again = shlex.quote(f"hydra.sweep.dir={quoted(str(sweep))}")
        print(f"repeat the command with {again} to run the missing jobs")
    print(f"sweep: {sweep}", flush=True)
    return exit_status([job for _, job in jobs])


def _metrics(folder: Path, job: Record) -> list[float | None]:
    """Return the columns of a job; None if it isn't done, or a metric isn't measured."""
    found = rows_of(folder) if job.status == "done" else {}
    return [found.get(row, {}).get(metric) for row, metric in COLUMNS.values()]


def _table(jobs: Jobs) -> Table:
    """Return a table with one line per job."""
    made = Table(
        title="Chrominance RMSE of the sweep (ab units, lower is better)", title_justify="left"
    )
    made.add_column("job", overflow="fold")
    for name in COLUMNS:
        made.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for folder, job in jobs:
        *errors, accuracy = _metrics(folder, job)
        cells = ["" if error is None else f"{error:.2f}" for error in errors]
        if not any(cells):
            cells[0] = job.status
        cells.append("" if accuracy is None else f"{accuracy:.0f}%")
        made.add_row(f"{job.job}: {' '.join(job.varied)}", *cells)
    return made


def _write_csv(path: Path, jobs: Jobs) -> None:
    """Write one row per job: number, status, exit status, varied overrides, unrounded metrics."""
    keys = list(dict.fromkeys(text.partition("=")[0] for _, job in jobs for text in job.varied))
    lines = []
    for folder, job in jobs:
        varied = dict(text.partition("=")[::2] for text in job.varied)
        values = [varied.get(key) for key in keys]
        lines.append([job.job, job.status, job.exit_status, *values, *_metrics(folder, job)])
    write_csv(path, ["job", "status", "exit_status", *keys, *COLUMNS], lines)


def exit_status(jobs: Sequence[Record]) -> int:
    """Return 0 if all jobs are done, 75 if the others were stopped by SIGTERM, else 1."""
    if all(job.status == "done" for job in jobs):
        return 0
    ended = [job for job in jobs if job.status not in ("done", "waiting")]
    in_time = all(job.status == "stopped" and job.exit_status in STOPPED_IN_TIME for job in ended)
    return REQUEUE if ended and in_time else 1
