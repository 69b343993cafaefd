"""Signals and the end of loader processes."""

import ctypes
import multiprocessing
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>: the signal that a process gets when its parent dies."""


def prepare_worker(_: int) -> None:
    """Leave signals to the training process, which ends its workers; die with it.

    SLURM and terminals send signals to all processes of a job: a worker that died of one would end
    the training process before it has written its checkpoint.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_workers() -> None:
    """End loader processes that are busy when a run ends, in waiting for a server, say.

    Python would ask them to end with SIGTERM, which they ignore, and wait for them at its exit.
    """
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
