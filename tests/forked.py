"""`train.py` and the other commands in processes that start at once.

They are forked off one that has imported everything: importing torch and Lightning takes longer
than a run on tiny shards.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from irodori.config import PROJECT

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["irodori.training.launch", "irodori.evaluation.launch", "kornia"])
PATIENCE = 240.0
"""Seconds after which a run counts as hanging."""


def run_program(
    program: str,
    arguments: list[str],
    log: Path,
    folder: Path,
    variables: dict[str, str],
    first: int,
    hook: tuple[Any, ...] | None,
) -> None:
    """Run a program in this process as if a shell had started it in `folder`."""
    from lightning.pytorch.utilities import rank_zero_only

    # Lightning looked at the environment when it was imported.
    rank_zero_only.rank = int(variables.get("RANK", "0"))
    while True:
        # The first rank's process leads the group that the others join.
        with contextlib.suppress(PermissionError):
            os.setpgid(0, first)
            break
        time.sleep(0.01)
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for name in [name for name in os.environ if name.startswith(("WANDB", "PL_", "PYTEST"))]:
        del os.environ[name]
    os.environ |= {"OMP_NUM_THREADS": "1", "HOME": str(folder), "COLUMNS": "160", **variables}
    sys.path[:0] = filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))
    os.chdir(folder)
    multiprocessing.set_start_method("fork", force=True)  # as in a process that a shell starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    torch.set_num_threads(1)
    if hook is not None:
        function, *values = hook
        function(*values)
    sys.argv = [program, *arguments]
    try:
        if program == "irodori":
            from irodori.cli.app import app

            app()
        else:
            runpy.run_path(str(PROJECT / program), run_name="__main__")
    finally:
        sys.stdout.flush()


class Run:
    """A run of a program, on one rank or on several that torchrun might have started.

    Args:
        folder: where it is started, and its output goes, in `output`.
        arguments: its command line.
        program: `train.py`, `evaluate.py` or `irodori`.
        ranks: processes; they share a process group, which is the first one's id.
        hook: called in each process before it begins: a function and its arguments.
        hook_rank: only on this rank.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        program: str = "train.py",
        ranks: int = 1,
        hook: tuple[Any, ...] | None = None,
        hook_rank: int | None = None,
        **variables: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "output"
        self.start = self.log.stat().st_size if self.log.exists() else 0
        self.processes = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(ranks):
            world = {
                "TORCHELASTIC_RUN_ID": "test",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "WORLD_SIZE": str(ranks),
                "LOCAL_WORLD_SIZE": str(ranks),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "GROUP_RANK": "0",
            }
            own = hook if hook_rank in (None, rank) else None
            process = CONTEXT.Process(
                target=run_program,
                args=[
                    program,
                    list(arguments),
                    self.log,
                    folder,
                    variables | (world if ranks > 1 else {}),
                    self.pid if self.processes else 0,
                    own,
                ],
            )
            process.start()
            self.processes.append(process)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_bytes()[self.start :].decode() if self.log.exists() else ""

    @property
    def pid(self) -> int:
        """Of the first rank's process, and of all ranks' process group."""
        pid = self.processes[0].pid
        assert pid is not None
        return pid

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this."""
        end = time.monotonic() + PATIENCE
        while text not in self.output:
            if time.monotonic() > end or not any(p.is_alive() for p in self.processes):
                raise AssertionError(f"{text!r} isn't printed:\n{self.output}")
            time.sleep(0.01)

    def end(self) -> list[int]:
        """Wait for the end: the exit status of each rank; nothing may be left running."""
        end = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        hanging = [p for p in self.processes if p.is_alive()]
        if hanging:
            self.kill()
            raise AssertionError(f"{len(hanging)} process(es) hang:\n{self.output}")
        left = self.left()
        self.kill()
        assert not left, f"left running: {left}\n{self.output}"
        return [process.exitcode for process in self.processes]

    def left(self) -> list[psutil.Process]:
        """Processes of its group that still run a second after it has ended."""
        for _ in range(20):
            found = [
                process
                for process in psutil.process_iter()
                if group(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE
            ]
            if not found:
                break
            time.sleep(0.05)
        return found

    def kill(self) -> None:
        """End all its processes at once, as if the machine were lost."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for process in self.processes:
            process.join()


def group(pid: int) -> int | None:
    """The process group of a process, None if it is gone."""
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def train(folder: Path, *arguments: str, **options: Any) -> tuple[int, list[str]]:
    """Train to the end on one rank; exit status and lines of output."""
    run = Run(folder, *arguments, **options)
    statuses = run.end()
    return max(statuses), run.output.splitlines()


def at(owner: str, name: str, call: int, action: Callable[..., None], *values: Any) -> None:
    """A hook: do something at the beginning of the so manieth call of a class's method.

    owner: module and class, as "irodori.training.module:ColorizationModule".
    """
    import importlib

    module, _, attribute = owner.partition(":")
    place = importlib.import_module(module)
    if attribute:
        place = getattr(place, attribute)
    original, calls = getattr(place, name), []

    def method(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) == call:
            action(*values)
        return original(*args, **kwargs)

    setattr(place, name, method)


def signal_self(number: int) -> None:
    """An action: send this process a signal."""
    os.kill(os.getpid(), number)


def signal_all(number: int) -> None:
    """An action: send a signal to all ranks and loader processes of this run."""
    os.killpg(0, number)
