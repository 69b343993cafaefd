"""What a loader process does with signals."""

import ctypes
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
