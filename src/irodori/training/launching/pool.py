"""The order of jobs, and their GPUs."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from irodori.training.launching import record
from irodori.training.launching.job import Job
from irodori.training.launching.processes import JobProcess
from irodori.utils.errors import IrodoriError


@dataclass
class Pool:
    """The places of this machine for jobs, and whether the sweep is stopping.

    Attributes:
        gpus: the GPUs' names in CUDA_VISIBLE_DEVICES.
        at_once: jobs side by side; None: as many as the GPUs allow, and one without GPUs.
        grace: seconds that jobs get to write their checkpoints when they are stopped.
        stop_signal: the signal that stopped the sweep.
        deadline: when jobs that are stopping are killed.
        running: the jobs that run.
    """

    gpus: list[str]
    at_once: int | None = None
    grace: float = 60.0
    stop_signal: int | None = None
    deadline: float = field(default=float("inf"), init=False)
    running: list[JobProcess] = field(default_factory=list, init=False)

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
        alone = self.at_once == 1 or len(jobs) == 1 or (self.at_once is None and not self.gpus)
        with self.listening():
            while self.running or (waiting and not self.stop_signal):
                while (
                    waiting and not self.stop_signal and (gpus := self.room(waiting[0])) is not None
                ):
                    job = waiting.pop(0)
                    print(
                        f"job {job.number} begins: {' '.join(job.varied) or job.folder.name}",
                        flush=True,
                    )
                    record.write(job.folder, record.record_of(job, "running"))
                    prefix = "" if alone else f"{job.number} | "
                    self.running.append(JobProcess(command(job), job, variables, gpus, prefix))
                    if self.stop_signal:
                        # The signal came while the process was being started.
                        self.running[-1].send(self.stop_signal)  # type: ignore[unreachable]
                for process in list(self.running):
                    if (status := process.ended()) is not None:
                        self.running.remove(process)
                        process.note(status, told_to_stop=self.stop_signal is not None)
                if time.monotonic() > self.deadline:
                    for process in self.running:
                        process.kill()
                time.sleep(0.05)

    def room(self, job: Job) -> list[str] | None:
        """Return GPUs for the job beside those that run; None if there is no room."""
        wanted = self.wanted(job)
        taken = {gpu for process in self.running for gpu in process.gpus}
        free = [gpu for gpu in self.gpus if gpu not in taken]
        at_once = self.at_once or (len(self.gpus) if wanted else 1)
        return free[:wanted] if len(self.running) < at_once and wanted <= len(free) else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Pass signals on to the jobs that run."""

        def stop(signum: int, frame: FrameType | None) -> None:
            if self.stop_signal is not None:
                self.deadline = 0.0
                return
            # A terminal that is gone is no reason to lose the jobs' state.
            self.stop_signal = signal.SIGTERM if signum == signal.SIGHUP else signum
            self.deadline = time.monotonic() + self.grace
            for process in self.running:
                process.send(self.stop_signal)

        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.signal(signum, stop) for signum in signals}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES calls them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(count)] if named is None else named.split(",")
    return [name.strip() for name in names[:count]]
