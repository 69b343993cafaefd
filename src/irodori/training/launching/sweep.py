"""A sweep as a whole: its folder, its jobs' folders, and what it hands back to the sweeper."""

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
    """Create and lock the sweep's folder, put its name into the configuration, end what is left.

    A folder that the user has not named gets a number where it exists.

    Raises:
        IrodoriError: another sweep is running there, or this process is itself a rank.
    """
    if "LOCAL_RANK" in os.environ:
        raise IrodoriError("start a sweep without torchrun: it starts its jobs' ranks itself")
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
    """Make the folders of jobs, each its own; returns the jobs that aren't done yet.

    Raises:
        IrodoriError: a folder holds another job.
    """
    if len({job.folder for job in jobs}) < len(jobs):
        raise IrodoriError("hydra.sweep.subdir gives two jobs one folder: use ${hydra:job.num}")
    before = {job.number: read_record(job.folder) for job in jobs}
    for job in jobs:
        known = before[job.number]
        if known is not None and known.overrides != list(job.overrides):
            raise IrodoriError(
                f"{job.folder} holds a job of another sweep ({' '.join(known.varied)}): give"
                " another hydra.sweep.dir"
            )
    done = {number for number, known in before.items() if known and known.status == "done"}
    if done:
        print(f"{len(done)} of {len(jobs)} jobs are done already", flush=True)
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        if job.number not in done:
            note(job)
    return [job for job in jobs if job.number not in done]


def variables(config: DictConfig) -> dict[str, str]:
    """Return the jobs' environment variables: W&B's group, unless the user has set one."""
    folder = Path(config.hydra.sweep.dir)
    group = f"{folder.parent.name}/{folder.name}"
    return {"WANDB_RUN_GROUP": os.environ.get("WANDB_RUN_GROUP") or group}


def result(job: Job) -> JobReturn:
    """Return a job's result for Hydra's sweeper; it may have failed without ending the sweep."""
    returned = JobReturn(overrides=list(job.overrides), working_dir=str(job.folder))
    returned.status = JobStatus.COMPLETED
    returned.return_value = score_of(job.folder)
    return returned
