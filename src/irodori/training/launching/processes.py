"""One job's processes: started, read from, stopped, and none left behind."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import psutil

from irodori.training.launching.job import Job, arguments
from irodori.training.launching.record import record_of, write

MARK = "IRODORI_JOB"
"""Environment variable that all processes of a job inherit: the job's folder."""


class JobProcess:
    """A running job. Its output goes to a file and, line by line, to the terminal."""

    def __init__(
        self,
        command: Sequence[str],
        job: Job,
        variables: dict[str, str],
        gpus: Sequence[str] = (),
        prefix: str = "",
        log: str = "output.log",
    ) -> None:
        """Start the job.

        Args:
            command: as for `subprocess`.
            job: the job; its folder exists.
            variables: added to the environment.
            gpus: names of GPUs, which no other job uses; none: those of this process.
            prefix: of the lines in the terminal.
            log: name of the file in the job's folder.
        """
        self.job, self.gpus = job, gpus
        self.lines: deque[str] = deque(maxlen=100)
        """The last lines of output."""
        environment = os.environ | variables | {MARK: str(job.folder), "PYTHONUNBUFFERED": "1"}
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        # Tables fit the terminal that they end up in.
        environment.setdefault("COLUMNS", str(shutil.get_terminal_size().columns))
        for name in [name for name in environment if name.startswith("SLURM_NTASKS")]:
            # Within an allocation a job would else take its ranks from srun, which hasn't started
            # it.
            del environment[name]
        # A session of its own: Ctrl-C reaches the sweep alone, which passes it on.
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
        """Pass the output on until the last process that holds it has ended."""
        assert self.process.stdout is not None
        with log.open("ab", buffering=0) as file:
            for line in self.process.stdout:
                file.write(line)
                # Only the end of a line that was overwritten again and again.
                text = line.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2]
                self.lines.append(text)
                # In one piece: other threads print, too.
                print(f"{prefix}{text}\n", end="", flush=True)

    def send(self, signum: int) -> None:
        """Send a signal to the job's first process, not to its loaders, which it may still need."""
        if self.process.poll() is None:
            self.process.send_signal(signum)

    def kill(self) -> None:
        """End all processes of the job at once."""
        self.send(signal.SIGKILL)
        # Before psutil waits for it: who comes second never learns its status, and takes it for 0.
        self.process.wait()
        end(marked(str(self.job.folder)), patience=0)

    def ended(self) -> int | None:
        """Return the exit status, negative for a signal, once no process is left; else None."""
        status = self.process.poll()
        if status is None:
            return None
        end(marked(str(self.job.folder)), patience=5)
        self.reader.join()
        return status

    def note(self, status: int, told_to_stop: bool) -> None:
        """Write into the job's folder how it ended, and print it."""
        ended = record_of(self.job).ended(status, self.lines, told_to_stop)
        write(self.job.folder, ended)
        print(ended, flush=True)


def marked(folder: str, below: bool = False) -> list[psutil.Process]:
    """Return the processes of the job in this folder; `below`: of all jobs in folders below it."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and (
            mark == folder or (below and mark.startswith(folder + os.sep))
        ):
            found.append(process)
    return found


def end(processes: list[psutil.Process], patience: float) -> None:
    """Wait some seconds for processes to end by themselves, and then kill them."""
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=10)


def local_command(program: Sequence[str], job: Job) -> list[str]:
    """Return a job's command on this machine; torchrun starts its ranks if there are several."""
    command = arguments(program, job)
    if job.devices == 1:
        return [sys.executable, *command]
    return ranks_command(["--standalone"], command, job)


def ranks_command(options: Sequence[str], command: Sequence[str], job: Job) -> list[str]:
    """Return the command that starts a job's ranks on a node, with options of torchrun."""
    ranks = "irodori.training.launching.ranks"
    return [sys.executable, "-m", ranks, f"--nproc-per-node={job.devices}", *options, *command]
