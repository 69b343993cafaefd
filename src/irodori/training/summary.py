"""What a sweep leaves: a table in the terminal, summary.csv, and its exit status."""

import csv
import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from irodori.metrics.catalog import MAIN, METRICS
from irodori.runs.folder import resume_command
from irodori.training.launching.job import quoted
from irodori.training.launching.record import REQUEUE, Record, read_all, rows
from irodori.training.report import CONSOLE
from irodori.utils.run_files import CONFIG

IN_TIME = (REQUEUE, -signal.SIGTERM, 128 + signal.SIGTERM)
"""Exit statuses of jobs that SIGTERM ended: with a checkpoint, or before they had started."""

FIGURES = ("best", "last", "mean_color", "gray")


class SweepSummary(Callback):
    """Tells of each job of a sweep what was varied, how it ended, and its checkpoints' figures."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, write summary.csv, and end with status 1 if not all jobs are done.

        Hydra's sweepers know no job that failed while others go on: this is where its exit status
        can come from. It is 75 if all that is missing is to resume jobs that were stopped.
        """
        try:
            status = summarize(Path(config.hydra.sweep.dir).resolve())
        except Exception:
            # Hydra would turn it into a warning, and the sweep's exit status into 0.
            traceback.print_exc()
            status = 1
        if status:
            sys.exit(status)


def summarize(sweep: Path) -> int:
    """Print and write the summary of the sweep in this folder; returns its exit status."""
    jobs = read_all(sweep)
    CONSOLE.print(table(jobs))
    write_csv(sweep / "summary.csv", jobs)
    for folder, job in jobs:
        if job.status == "failed":
            print(f"job {job.job} failed: {job.error} (see {folder / 'output.log'})")
        elif job.status == "stopped":
            print(f"job {job.job} was stopped; {resume_hint(folder)}")
    status = exit_status([job for _, job in jobs])
    # A search has made up its mind about what failed.
    settled = ("done", "failed") if (sweep / "search.journal").exists() else ("done",)
    if any(job.status not in settled for _, job in jobs):
        again = shlex.quote(f"hydra.sweep.dir={quoted(str(sweep))}")
        print(f"the same command with {again} continues with what is missing")
    print(f"sweep: {sweep}", flush=True)
    return status


def resume_hint(folder: Path) -> str:
    """Return what a user can do with a run that was stopped."""
    if (folder / CONFIG).exists():
        return f"resume by: {resume_command(folder)}"
    return "it had hardly started"


def table(jobs: list[tuple[Path, Record]]) -> Table:
    """A line a job."""
    main = METRICS[MAIN]
    title = f"The sweep's {main.title} ({main.unit}, {main.better} is better)"
    made = Table(title=title, title_justify="left")
    made.add_column("job", overflow="fold")
    for name in (*FIGURES, "accuracy"):
        made.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for folder, job in jobs:
        figures = rows(folder)
        label = f"{job.job}: {' '.join(job.varied)}"
        if job.status != "done" or figures is None:
            made.add_row(label, job.status)
            continue
        accuracy = figures["best"].get("accuracy")
        made.add_row(
            label,
            *(main.text(figures[name][MAIN]) for name in FIGURES),
            "" if accuracy is None else f"{accuracy:.0f}%",
        )
    return made


def write_csv(path: Path, jobs: list[tuple[Path, Record]]) -> None:
    """A row a job: number, status, exit status, what was varied, and the figures, not rounded."""
    keys = list(dict.fromkeys(text.partition("=")[0] for _, job in jobs for text in job.varied))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job", "status", "exit_status", *keys, *FIGURES, "accuracy"])
        for folder, job in jobs:
            varied = dict(text.partition("=")[::2] for text in job.varied)
            figures = (rows(folder) if job.status == "done" else None) or {}
            writer.writerow(
                [
                    job.job,
                    job.status,
                    job.exit_status,
                    *(varied.get(key) for key in keys),
                    *(figures.get(name, {}).get(MAIN) for name in FIGURES),
                    figures.get("best", {}).get("accuracy"),
                ]
            )


def exit_status(jobs: list[Record]) -> int:
    """0: all done; 75: what is missing was stopped by SIGTERM in its time; 1: anything else."""
    missing = [job for job in jobs if job.status != "done"]
    if not missing:
        return 0
    stopped = [job for job in missing if job.status == "stopped"]
    others = {job.status for job in missing} - {"stopped", "waiting"}
    if stopped and not others and all(job.exit_status in IN_TIME for job in stopped):
        return REQUEUE
    return 1
