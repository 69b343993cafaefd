"""Stopping on signals: SIGTERM, and those that SLURM sends before a time limit."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUEUE = 75
"""Exit status of a stopped run that can be resumed (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""SIGTERM; SIGUSR1, as in `sbatch --signal=USR1@90`; SIGUSR2, used by submitit."""


class Stopped(BaseException):
    """Raised when a signal has stopped the run and nothing more must be written.

    Not an `Exception`, so that general error handlers don't catch it.
    """


class StopSignal:
    """Records one of `SIGNALS`, or ends the run at once if nothing can be lost.

    Outside of `handled`, signals are not affected. `name` is the name of the received signal; only
    the `first` rank reports it, with the `resume_hint`.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.first = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"
        self.resume_hint = "nothing was started; repeat the command"
        self._active = self._waits = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals within the block, and restore the previous handlers after it.

        Raises:
            SystemExit: with status `REQUEUE`, if `Stopped` is raised in the block.
        """
        before = [signal.getsignal(number) for number in SIGNALS]
        self._active = True
        self.install()
        try:
            yield
        except Stopped:
            # Other ranks exit with 0, since launchers treat any other status as a failure.
            if not self.first:
                sys.exit(0)
            print(f"stopped by {self.name}: {self.resume_hint}", file=sys.stderr, flush=True)
            sys.exit(REQUEUE)
        finally:
            self._active = False
            for number, handler in zip(SIGNALS, before, strict=True):
                signal.signal(number, handler)

    def install(self) -> None:
        """Install the handlers again within `handled`, since Lightning installs its own."""
        if self._active:
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def wait(self) -> None:
        """Only record signals from now on; the run checks `name` when it can stop."""
        self._waits = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        if not self._waits:
            raise Stopped
