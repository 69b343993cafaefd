"""A sweep as a whole: its folder, its jobs' folders, and what it hands back to the sweeper."""

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from irodori.errors import IrodoriError
from irodori.training.launching import record
from irodori.training.launching.folder import claim
from irodori.training.launching.job import Job
from irodori.training.launching.processes import end, marked


def begin(config: DictConfig) -> None:
    """Claim the sweep's folder, write its name into the configuration, and clear what is left.

    Raises:
        IrodoriError: another sweep is running there, or this process is itself a rank.
    """
    if "LOCAL_RANK" in os.environ:
        raise IrodoriError("start a sweep without torchrun: it starts its jobs' ranks itself")
    given = any(text.startswith("hydra.sweep.dir=") for text in config.hydra.overrides.hydra)
    folder = claim(Path(config.hydra.sweep.dir), given).resolve()
    config.hydra.sweep.dir = str(folder)
    orphans = marked(str(folder), below=True)
    if orphans:
        print(f"ending {len(orphans)} processes that an earlier sweep in {folder} left", flush=True)
        for process in orphans:
            process.terminate()
        end(orphans, patience=30)


def prepare(jobs: Sequence[Job]) -> None:
    """Make the folders of jobs, each its own.

    Raises:
        IrodoriError: a folder holds a job already.
    """
    taken = [job for job in jobs if (job.folder / "job.json").exists()]
    if taken:
        raise IrodoriError(
            f"{taken[0].folder} holds a job of an earlier sweep: give another hydra.sweep.dir"
        )
    if len({job.folder for job in jobs}) < len(jobs):
        raise IrodoriError("hydra.sweep.subdir gives two jobs one folder: use ${hydra:job.num}")
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        record.write(job.folder, record.waiting(job))


def variables(config: DictConfig) -> dict[str, str]:
    """What the jobs find in their environment: W&B's group, unless the user has set one."""
    folder = Path(config.hydra.sweep.dir)
    group = f"{folder.parent.name}/{folder.name}"
    return {"WANDB_RUN_GROUP": os.environ.get("WANDB_RUN_GROUP") or group}


def result(job: Job) -> JobReturn:
    """What Hydra's sweeper gets of a job, which may have failed without ending the sweep."""
    rows = record.rows(job.folder)
    ended = record.read(job.folder)
    done = ended is not None and ended.status == "done" and rows is not None
    returned = JobReturn(overrides=list(job.overrides), working_dir=str(job.folder))
    returned.status = JobStatus.COMPLETED
    returned.return_value = rows["best"]["chroma_rmse"] if done and rows is not None else None
    return returned
