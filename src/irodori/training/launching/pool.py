"""Running jobs on this machine: processes, scheduling and GPUs."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from irodori.training.launching.job import Job, command, note, note_end
from irodori.utils.errors import IrodoriError

MARK = "IRODORI_JOB"
"""Environment variable with the job's folder, inherited by all processes of the job."""


class JobProcess:
    """A running job, whose output goes to a file and, line by line, to the terminal.

    With several devices, Lightning starts the other ranks as children of this process.

    Args:
        command: command as for `subprocess`.
        job: job, whose folder exists.
        variables: added to the environment.
        gpus: names of GPUs that no other job uses; empty: those of this process.
        prefix: prefix of the lines in the terminal.
        log: name of the output file in the job's folder.
    """

    def __init__(
        self,
        command: Sequence[str],
        job: Job,
        variables: dict[str, str],
        gpus: Sequence[str] = (),
        prefix: str = "",
        log: str = "output.log",
    ) -> None:
        self.job, self.gpus = job, gpus
        self.lines: deque[str] = deque(maxlen=100)
        """The last lines of output."""
        environment = os.environ | variables | {MARK: str(job.folder), "PYTHONUNBUFFERED": "1"}
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        # The width of tables, which end up in this terminal.
        environment.setdefault("COLUMNS", str(shutil.get_terminal_size().columns))
        # Within a SLURM allocation, Lightning would otherwise expect to be started by srun.
        environment = {k: v for k, v in environment.items() if not k.startswith("SLURM_NTASKS")}
        # A new session: Ctrl-C only reaches the sweep, which passes it on.
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.reader = threading.Thread(
            target=self.read, args=[job.folder / log, prefix], daemon=True
        )
        self.reader.start()

    def read(self, log: Path, prefix: str) -> None:
        """Copy the output until the last process that has it open has ended."""
        assert self.process.stdout is not None
        with log.open("ab", buffering=0) as file:
            for line in self.process.stdout:
                # Only the final state of a line that was overwritten.
                text = line.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2]
                self.lines.append(text)
                # Output that can't be written (full disk, closed terminal) must not block the job.
                with suppress(OSError):
                    file.write(line)
                with suppress(OSError):
                    # In one write, since other threads also print.
                    print(f"{prefix}{text}\n", end="", flush=True)

    def send(self, signum: int) -> None:
        """Send a signal to the job's first process, not to its loaders, which it may still need."""
        if self.process.poll() is None:
            self.process.send_signal(signum)

    def kill(self) -> None:
        """Kill all processes of the job."""
        self.send(signal.SIGKILL)
        # Before psutil waits for it, since only the first one to wait gets its status.
        self.process.wait()
        end(marked(str(self.job.folder)), patience=0)

    def ended(self) -> int | None:
        """Return the exit status (negative for a signal); None while a process is left."""
        status = self.process.poll()
        if status is not None:
            end(marked(str(self.job.folder)), patience=5)
            self.reader.join()
        return status

    def note(self, status: int, was_stopped: bool) -> None:
        """Record and print how the job ended."""
        print(note_end(self.job, status, self.lines, was_stopped), flush=True)


def marked(folder: str, below: bool = False) -> list[psutil.Process]:
    """Return the processes of the job in a folder or, with `below`, of all jobs below it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK, "")
            if mark == folder or (below and mark.startswith(folder + os.sep)):
                found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def end(processes: list[psutil.Process], patience: float) -> None:
    """Wait `patience` seconds for processes to end, and then kill them."""
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)


@dataclass
class Pool:
    """Runs the jobs of a sweep on this machine.

    Attributes:
        at_once: number of concurrent jobs; None: as many as the GPUs allow, and one without GPUs.
        grace: seconds for jobs to write checkpoints when they are stopped.
        gpus: names of the GPUs in CUDA_VISIBLE_DEVICES, determined by `check`.
        stop_signal: signal that stopped the sweep, also for later batches of a sweeper.
        deadline: time at which stopping jobs are killed.
        running: running jobs.
    """

    at_once: int | None = None
    grace: float = 60.0
    gpus: list[str] = field(default_factory=list)
    stop_signal: int | None = field(default=None, init=False)
    deadline: float = field(default=float("inf"), init=False)
    running: list[JobProcess] = field(default_factory=list, init=False)

    def wanted(self, job: Job) -> int:
        """Return the number of GPUs that a job requires."""
        return 0 if job.accelerator == "cpu" or not self.gpus else job.devices

    def check(self, jobs: Sequence[Job]) -> None:
        """Check that this machine can run the jobs.

        Raises:
            IrodoriError: a job requires more nodes or GPUs than available.
        """
        if self.at_once is not None and self.at_once < 1:
            raise IrodoriError(f"hydra.launcher.jobs={self.at_once}: must be at least 1")
        # Detecting GPUs imports torch.
        if not self.gpus and any(job.accelerator != "cpu" for job in jobs):
            self.gpus = visible_gpus()
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

    def run(self, jobs: Sequence[Job], program: list[str], variables: dict[str, str]) -> None:
        """Run jobs in order, concurrently as far as possible, and write their job.json.

        A failing job doesn't stop the others. SIGINT, SIGTERM and SIGHUP are passed on to running
        jobs, and no further ones are started; a second signal, or the end of `grace`, kills them.

        Args:
            jobs: jobs, whose folders exist.
            program: script and common arguments (`job.program`).
            variables: added to the jobs' environment.
        """
        waiting = deque(jobs)
        alone = self.at_once == 1 or len(jobs) == 1 or (self.at_once is None and not self.gpus)
        with self.listening():
            while self.running or (waiting and not self.stop_signal):
                while (
                    waiting
                    and not self.stop_signal
                    and (gpus := self.free_gpus(waiting[0])) is not None
                ):
                    job = waiting.popleft()
                    varied = " ".join(job.varied) or job.folder.name
                    print(f"job {job.number} begins: {varied}", flush=True)
                    note(job, "running")
                    prefix = "" if alone else f"{job.number} | "
                    self.running.append(
                        JobProcess(command(program, job), job, variables, gpus, prefix)
                    )
                    if self.stop_signal:
                        # The signal came while the process was starting.
                        self.running[-1].send(self.stop_signal)  # type: ignore[unreachable]
                for process in list(self.running):
                    if (status := process.ended()) is not None:
                        self.running.remove(process)
                        process.note(status, was_stopped=self.stop_signal is not None)
                if time.monotonic() > self.deadline:
                    for process in self.running:
                        process.kill()
                time.sleep(0.05)

    def free_gpus(self, job: Job) -> list[str] | None:
        """Return free GPUs for a job; None if the job must wait."""
        wanted = self.wanted(job)
        taken = {gpu for process in self.running for gpu in process.gpus}
        free = [gpu for gpu in self.gpus if gpu not in taken]
        at_once = self.at_once or (len(self.gpus) if wanted else 1)
        return free[:wanted] if len(self.running) < at_once and wanted <= len(free) else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Pass signals on to the running jobs."""

        def stop(signum: int, frame: FrameType | None) -> None:
            if self.stop_signal is not None:
                self.deadline = 0.0
                return
            # A closed terminal must not lose the jobs' state.
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
    """Return the GPUs that this process may use, with their names in CUDA_VISIBLE_DEVICES."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(count)] if named is None else named.split(",")
    return [name.strip() for name in names[:count]]
