"""Running a sweep's jobs through SLURM with submitit."""

import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from irodori.training.launching.job import Job, command, note, read_record
from irodori.training.launching.pool import JobProcess
from irodori.training.stopping import REQUEUE
from irodori.utils.errors import IrodoriError, one_line


@dataclass
class NodeTask:
    """The callable that submitit runs on each node of a job, and again after each requeue."""

    job: Job
    program: list[str]
    variables: dict[str, str]
    grace: float

    def __call__(self) -> int:
        """Run the ranks of the node, and return their exit status.

        A started run is resumed. A run that ends with the status REQUEUE is requeued.
        """
        environment = submitit.JobEnvironment()
        first = environment.global_rank == 0
        log = "output.log" if first else f"output-{environment.node}.log"
        variables = self.variables | (self.rendezvous_variables() if self.job.nodes > 1 else {})
        self.process = JobProcess(command(self.program, self.job), self.job, variables, log=log)
        if first:
            note(self.job, "running")
        while (status := self.process.ended()) is None:
            time.sleep(0.2)
        if first:
            self.process.note(status, was_stopped=False)
        if status == REQUEUE:
            # SLURM has signaled the ranks. submitit requeues on its own signal, on the first node;
            # the other nodes end with the allocation.
            os.kill(os.getpid(), getattr(signal, f"SIG{environment.USR_SIG}"))
        return status

    def rendezvous_variables(self) -> dict[str, str]:
        """Return the environment variables for the rendezvous of ranks on all nodes."""
        environment = submitit.JobEnvironment()
        node = environment.global_rank
        return {
            "NODE_RANK": str(node),
            "MASTER_ADDR": environment.hostnames[0],
            # A port that differs between jobs on the same node.
            "MASTER_PORT": str(20000 + int(environment.raw_job_id) % 10000),
            # Not set on the first node, as on a single machine, since the other ranks would inherit
            # it.
            **({"RANK": str(node * self.job.devices)} if node else {}),
        }

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Stop the ranks before the time limit, and return how to resume; called by submitit."""
        self.process.send(signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        while (status := self.process.ended()) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if status is not None:
            self.process.note(status, was_stopped=True)
        return submitit.helpers.DelayedSubmission(replace(self))


@dataclass
class SlurmQueue:
    """Runs the jobs of a sweep through SLURM, or as submitit's local processes.

    Args:
        settings: the launcher with its settings.
        folder: folder for submitit's files.
    """

    settings: Any
    folder: Path

    def check(self, jobs: Sequence[Job]) -> None:
        """Raise IrodoriError on a machine without SLURM."""
        if self.settings.cluster == "slurm" and shutil.which("srun") is None:
            raise IrodoriError("hydra/launcher=slurm: there is no srun on this machine")

    def run(self, jobs: Sequence[Job], program: list[str], variables: dict[str, str]) -> None:
        """Submit jobs, wait for them, and record how they end; Ctrl-C stops waiting.

        Args:
            jobs: jobs, whose folders exist on a file system shared by all nodes.
            program: script and arguments before a job's own (`job.program`).
            variables: added to the jobs' environment.

        Raises:
            IrodoriError: submitit or SLURM rejects a job; those submitted before are canceled.
        """
        waited_for: list[tuple[Job, submitit.Job[int]]] = []
        for job in jobs:
            try:
                handle = self.submit(NodeTask(job, program, variables, self.settings.grace))
            except (
                NameError,
                ValueError,
                RuntimeError,
                FailedJobError,
                FailedSubmissionError,
            ) as error:
                for _, before in waited_for:
                    before.cancel()
                raise IrodoriError(
                    f"submitit rejects job {job.number}: {one_line(error)}"
                ) from None
            waited_for.append((job, handle))
            number = f"{self.settings.cluster} job {handle.job_id}"
            print(f"job {job.number} is {number}: {' '.join(job.varied)}", flush=True)
        try:
            while waited_for:
                for job, handle in [pair for pair in waited_for if pair[1].done()]:
                    waited_for.remove((job, handle))
                    ended = read_record(job.folder)
                    if ended is None or ended.status in ("waiting", "running"):
                        # The job had no time to record this itself.
                        reason = f"{handle.job_id} ended as {handle.state}"
                        ended = note(job, "failed", error=reason)
                    print(ended, flush=True)
                time.sleep(0.5)
        except KeyboardInterrupt:
            names = " ".join(handle.job_id for _, handle in waited_for)
            print(
                f"{len(waited_for)} jobs continue without this process; scancel {names} ends them",
                flush=True,
            )

    def submit(self, task: NodeTask) -> "submitit.Job[int]":
        """Submit a job to run on each of its nodes."""
        settings, job = self.settings, task.job
        executor = submitit.AutoExecutor(
            self.folder,
            cluster=settings.cluster,
            **{f"{settings.cluster}_max_num_timeout": settings.requeues},
        )
        executor.update_parameters(
            name=f"irodori-{job.number}",
            timeout_min=settings.timeout_min,
            nodes=job.nodes,
            tasks_per_node=1,
            gpus_per_node=0 if job.accelerator == "cpu" else job.devices,
            slurm_signal_delay_s=settings.grace,
            **{f"slurm_{name}": value for name, value in settings.slurm.items()},
        )
        return executor.submit(task)
