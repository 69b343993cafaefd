"""Signal handling and termination of loader processes."""

import ctypes
import multiprocessing
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>: the signal that a process gets when its parent dies."""


def prepare_worker(_: int) -> None:
    """Make a worker ignore signals, which the training process handles, and die with its parent.

    SLURM and terminals signal all processes of a job: a worker that died from it would stop the
    training process before it has written its checkpoint.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_workers() -> None:
    """Kill loader processes that are still busy when a run ends, such as waiting for a server.

    At exit, Python would send SIGTERM, which they ignore, and wait for them.
    """
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
