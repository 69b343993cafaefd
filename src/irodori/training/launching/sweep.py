"""A sweep's folder, its jobs' folders, and results for Hydra's sweeper."""

import os
from collections.abc import Sequence
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from irodori.runs.run import create_new_folder
from irodori.training.launching.job import Job, given, note, read_record, score_of
from irodori.training.launching.pool import end, marked
from irodori.utils.errors import IrodoriError
from irodori.utils.files import lock


def begin(config: DictConfig) -> "AcquireReturnProxy[FileLock]":
    """Create and lock the sweep's folder, set it in the configuration, and kill leftover jobs.

    If the folder exists and wasn't named by the user, a number is added.

    Raises:
        IrodoriError: another sweep is running in the folder, or this process is a rank.
    """
    if "LOCAL_RANK" in os.environ:
        raise IrodoriError("start a sweep without torchrun: it starts the ranks of its jobs itself")
    named = any(text.startswith("hydra.sweep.dir=") for text in given(config, "hydra"))
    folder = Path(config.hydra.sweep.dir)
    if named:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = create_new_folder(folder)
    held = lock(folder, f"another sweep is running in {folder}: give another hydra.sweep.dir")
    folder = folder.resolve()
    config.hydra.sweep.dir = str(folder)
    orphans = marked(str(folder), below=True)
    if orphans:
        print(f"ending {len(orphans)} processes that an earlier sweep in {folder} left", flush=True)
        for process in orphans:
            process.terminate()
        end(orphans, patience=30)
    return held


def prepare(jobs: Sequence[Job]) -> list[Job]:
    """Create the folders of jobs, and return the unfinished jobs.

    Raises:
        IrodoriError: a folder contains another job, or two jobs have the same folder.
    """
    if len({job.folder for job in jobs}) < len(jobs):
        raise IrodoriError(
            "hydra.sweep.subdir gives two jobs the same folder: use ${hydra:job.num}"
        )
    before = {job.number: read_record(job.folder) for job in jobs}
    for job in jobs:
        known = before[job.number]
        if known is not None and known.overrides != list(job.overrides):
            raise IrodoriError(
                f"{job.folder} contains a job of another sweep ({' '.join(known.varied)}): give"
                " another hydra.sweep.dir"
            )
    done = {number for number, known in before.items() if known and known.status == "done"}
    if done:
        print(f"{len(done)} of {len(jobs)} jobs are already done", flush=True)
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        if job.number not in done:
            note(job)
    return [job for job in jobs if job.number not in done]


def variables(config: DictConfig) -> dict[str, str]:
    """Return the jobs' environment variables."""
    return {"WANDB_RUN_GROUP": wandb_group(Path(config.hydra.sweep.dir))}


def wandb_group(folder: Path) -> str:
    """Return the W&B group of a sweep's jobs: WANDB_RUN_GROUP, or the end of the folder's path."""
    return os.environ.get("WANDB_RUN_GROUP") or f"{folder.parent.name}/{folder.name}"


def result(job: Job) -> JobReturn:
    """Return a job's result for Hydra's sweeper; failed jobs don't end the sweep."""
    returned = JobReturn(overrides=list(job.overrides), working_dir=str(job.folder))
    returned.status = JobStatus.COMPLETED
    returned.return_value = score_of(job.folder)
    return returned
