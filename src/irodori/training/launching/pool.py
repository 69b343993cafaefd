"""The order of jobs, and their GPUs."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType

from irodori.training.launching import record
from irodori.training.launching.job import Job
from irodori.training.launching.processes import JobProcess
from irodori.utils.errors import IrodoriError


@dataclass
class Pool:
    """The places of this machine for jobs, and whether the sweep is stopping."""

    gpus: list[str]
    """The GPUs' names in CUDA_VISIBLE_DEVICES."""
    at_once: int | None = None
    """Jobs side by side; None: as many as the GPUs allow, and one without GPUs."""
    grace: float = 60.0
    """Seconds that jobs get to write their checkpoints when they are stopped."""
    stop_signal: int | None = None
    """The signal that stopped the sweep."""
    deadline: float = field(default=float("inf"), init=False)

    def wanted(self, job: Job) -> int:
        """Return the number of GPUs that a job takes."""
        return 0 if job.accelerator == "cpu" or not self.gpus else job.devices

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuse what this machine can't run.

        Raises:
            IrodoriError: a job wants more nodes or GPUs than there are.
        """
        if self.at_once is not None and self.at_once < 1:
            raise IrodoriError(f"hydra.launcher.jobs={self.at_once} is not at least 1")
        for job in jobs:
            if job.nodes > 1:
                raise IrodoriError(
                    f"job {job.number}: trainer.num_nodes={job.nodes}, but this launcher has one"
                    " machine: use hydra/launcher=slurm"
                )
            if self.wanted(job) > len(self.gpus):
                raise IrodoriError(
                    f"job {job.number}: trainer.devices={job.devices}, but there are"
                    f" {len(self.gpus)} GPUs"
                )

    def run(
        self,
        jobs: Sequence[Job],
        command: Callable[[Job], list[str]],
        variables: dict[str, str],
    ) -> None:
        """Run jobs in their order, side by side as far as there is room, and write their job.json.

        A failing job doesn't stop the others. SIGINT, SIGTERM and SIGHUP are passed on to the
        jobs that run, and no other is started; a second one, or the end of `grace`, kills them.

        Args:
            jobs: their folders exist.
            command: gives a job's command.
            variables: added to the jobs' environment.
        """
        waiting = list(jobs)
        running: dict[int, tuple[JobProcess, Job, list[str]]] = {}
        free = list(self.gpus)
        alone = self.at_once == 1 or len(jobs) == 1 or (self.at_once is None and not free)
        with self.listening(running):
            while running or (waiting and not self.stopping()):
                while waiting and not self.stopping() and self.fits(waiting[0], running, free):
                    job = waiting.pop(0)
                    mine, free = free[: self.wanted(job)], free[self.wanted(job) :]
                    own = {"CUDA_VISIBLE_DEVICES": ",".join(mine)} if mine else {}
                    log("", f"job {job.number} begins: {' '.join(job.varied) or job.folder.name}")
                    record.write(job.folder, record.running(job))
                    prefix = "" if alone else f"{job.number} | "
                    process = JobProcess(
                        command(job),
                        job.folder,
                        job.folder / "output.log",
                        variables | own,
                        partial(log, prefix),
                    )
                    running[job.number] = (process, job, mine)
                    if self.stopping():
                        # The signal came while the process was being started.
                        process.send(self.stop_signal or signal.SIGTERM)
                for number, (process, job, mine) in list(running.items()):
                    status = process.ended()
                    if status is None:
                        continue
                    del running[number]
                    free = sorted([*free, *mine], key=self.gpus.index)
                    result = record.waiting(job).ended(status, process.lines, self.stopping())
                    record.write(job.folder, result)
                    log("", f"job {job.number} {describe(result)}")
                if time.monotonic() > self.deadline:
                    for process, _, _ in running.values():
                        process.kill()
                time.sleep(0.05)

    def fits(
        self, job: Job, running: dict[int, tuple[JobProcess, Job, list[str]]], free: list[str]
    ) -> bool:
        """Return whether there is room for the job beside those that run."""
        if self.at_once is not None:
            return len(running) < self.at_once and self.wanted(job) <= len(free)
        if self.wanted(job) == 0:
            return not running
        return self.wanted(job) <= len(free)

    def stopping(self) -> bool:
        """Return whether the sweep is stopping."""
        return self.stop_signal is not None

    @contextmanager
    def listening(self, running: dict[int, tuple[JobProcess, Job, list[str]]]) -> Iterator[None]:
        """Pass signals on to the jobs that run."""

        def stop(signum: int, frame: FrameType | None) -> None:
            # A terminal that is gone is no reason to lose the jobs' state.
            passed = signal.SIGTERM if signum == signal.SIGHUP else signum
            if self.stop_signal is None:
                self.stop_signal = passed
                self.deadline = time.monotonic() + self.grace
                for process, _, _ in running.values():
                    process.send(passed)
            else:
                self.deadline = 0.0

        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.signal(signum, stop) for signum in signals}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


def describe(result: record.Record) -> str:
    """Return how a job ended, in a few words."""
    if result.status == "failed":
        return f"failed: {result.error} (exit status {result.exit_status})"
    return result.status


def log(prefix: str, line: str) -> None:
    """Print a line in one piece, from any thread."""
    sys.stdout.write(f"{prefix}{line}\n")
    sys.stdout.flush()


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES calls them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(count)] if named is None else named.split(",")
    return [name.strip() for name in names[:count]]
