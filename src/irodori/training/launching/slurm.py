"""Jobs of a sweep through SLURM, by submitit: one task a node, which starts the node's ranks."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import submitit

from irodori.training.launching import record
from irodori.training.launching.job import Job, arguments
from irodori.training.launching.pool import describe, log
from irodori.training.launching.processes import JobProcess
from irodori.utils.errors import IrodoriError


@dataclass
class NodeTask:
    """The callable that runs on each of a job's nodes, and again after each requeue."""

    job: Job
    program: list[str]
    variables: dict[str, str]
    grace: float

    def __call__(self) -> int:
        """Run the node's ranks to their end; returns their exit status.

        A run that was started before is resumed. One that ends with the status for it is requeued.
        """
        environment = submitit.JobEnvironment()
        first = environment.global_rank == 0
        job = self.job
        self.process = JobProcess(
            [sys.executable, "-m", "irodori.training.launching.ranks", *self.arguments()],
            job.folder,
            job.folder / ("output.log" if first else f"output-{environment.node}.log"),
            self.variables,
            partial(log, ""),
        )
        if first:
            record.write(job.folder, record.running(job))
        while (status := self.process.ended()) is None:
            time.sleep(0.2)
        if first:
            self.note(status, told_to_stop=False)
        if status == record.REQUEUE:
            # SLURM has told the ranks themselves. submitit requeues on its own signal, on the
            # first node; the others end with the allocation.
            os.kill(os.getpid(), getattr(signal, f"SIG{environment.USR_SIG}"))
        return status

    def note(self, status: int, told_to_stop: bool) -> None:
        """Write down how the job ended."""
        ended = record.waiting(self.job).ended(status, self.process.lines, told_to_stop)
        record.write(self.job.folder, ended)

    def arguments(self) -> list[str]:
        """Return torchrun's options, the script and its arguments."""
        environment = submitit.JobEnvironment()
        options = [f"--nproc-per-node={self.job.devices}"]
        if environment.num_nodes == 1:
            options.append("--standalone")
        else:
            # A port that jobs on the same node don't share.
            port = 20000 + int(environment.raw_job_id) % 10000
            options += [
                f"--nnodes={environment.num_nodes}",
                "--rdzv-backend=c10d",
                f"--rdzv-id={environment.job_id}",
                f"--rdzv-endpoint={environment.hostnames[0]}:{port}",
            ]
        return [*options, *arguments(self.program, self.job)]

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Stop the ranks before time runs out, and return how to resume; submitit calls this."""
        self.process.send(signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        while (status := self.process.ended()) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if status is not None:
            self.note(status, told_to_stop=True)
        again = NodeTask(self.job, self.program, self.variables, self.grace)
        return submitit.helpers.DelayedSubmission(again)


def submit(
    jobs: Sequence[Job],
    program: list[str],
    variables: dict[str, str],
    *,
    folder: Path,
    cluster: str,
    timeout_min: int,
    grace: int,
    requeues: int,
    slurm: dict[str, Any],
) -> list[submitit.Job[int]]:
    """Submit jobs.

    Args:
        jobs: their folders exist, on a file system that all nodes see.
        program: script and arguments before the job's own (`job.program`).
        variables: added to the jobs' environment.
        folder: for submitit's files.
        cluster: slurm or local.
        timeout_min: minutes that SLURM gives a job.
        grace: seconds before the end of these in which a checkpoint is written.
        requeues: how often a job is requeued after that.
        slurm: other options, by submitit's names.

    Raises:
        IrodoriError: submitit or SLURM refuses them; jobs before the refused one are canceled.
    """
    submitted: list[submitit.Job[int]] = []
    for job in jobs:
        try:
            executor = submitit.AutoExecutor(
                folder, cluster=cluster, **{f"{cluster}_max_num_timeout": requeues}
            )
            executor.update_parameters(
                name=f"irodori-{job.number}",
                timeout_min=timeout_min,
                nodes=job.nodes,
                tasks_per_node=1,
                gpus_per_node=0 if job.accelerator == "cpu" else job.devices,
                slurm_signal_delay_s=grace,
                **{f"slurm_{name}": value for name, value in slurm.items()},
            )
            submitted.append(executor.submit(NodeTask(job, program, variables, grace)))
        except (
            NameError,
            ValueError,
            RuntimeError,
            submitit.core.utils.FailedJobError,
            submitit.core.utils.FailedSubmissionError,
        ) as error:
            for before in submitted:
                before.cancel()
            message = " ".join(str(error).split())
            raise IrodoriError(f"submitit doesn't take job {job.number}: {message}") from None
        log("", f"job {job.number} is {cluster} job {submitted[-1].job_id}: {' '.join(job.varied)}")
    return submitted


def wait(jobs: Sequence[Job], submitted: Sequence[submitit.Job[int]]) -> None:
    """Wait for submitted jobs and see that each ends with its record; Ctrl-C ends the waiting."""
    waited_for = list(zip(jobs, submitted, strict=True))
    try:
        while waited_for:
            for pair in list(waited_for):
                job, handle = pair
                if not handle.done():
                    continue
                waited_for.remove(pair)
                ended = record.read(job.folder) or record.waiting(job)
                if ended.status in ("waiting", "running"):
                    # It had no time to log so itself.
                    ended = record.lost(job, f"{handle.job_id} ended as {handle.state}")
                    record.write(job.folder, ended)
                log("", f"job {job.number} {describe(ended)}")
            time.sleep(0.5)
    except KeyboardInterrupt:
        names = " ".join(handle.job_id for _, handle in waited_for)
        log("", f"{len(waited_for)} jobs continue without this process; scancel {names} ends them")
