"""Stopping on a signal: SIGTERM, and what SLURM sends before it takes a node away."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUEUE = 75
"""Exit status of a run that was asked to stop: it can be resumed (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""SIGTERM; SIGUSR1 as with `sbatch --signal=USR1@90`; SIGUSR2 as submitit asks for."""


class Stopped(BaseException):
    """A signal asked the run to stop, and nothing more is to be written.

    It is no `Exception`: code that takes any of these for a failure of its own lets it pass.
    """


class StopSignal:
    """Remembers that one of `SIGNALS` came, or ends the run at once where nothing can be lost.

    Without `handled` it leaves the process's signals alone, and never asks to stop. `name` is the
    signal's; only the `first` rank reports it, with the `resume_hint`.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self.first = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"
        self.resume_hint = "nothing was started; give the same command again"
        self._active = self._waits = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals within the block, and restore their former handlers after it.

        Raises:
            SystemExit: with status `REQUEUE`, where `Stopped` leaves the block.
        """
        before = [signal.getsignal(number) for number in SIGNALS]
        self._active = True
        self.install()
        try:
            yield
        except Stopped:
            # The other ranks leave quietly: what starts them takes another status for a failure.
            if not self.first:
                sys.exit(0)
            print(f"stopped by {self.name}: {self.resume_hint}", file=sys.stderr, flush=True)
            sys.exit(REQUEUE)
        finally:
            self._active = False
            for number, handler in zip(SIGNALS, before, strict=True):
                signal.signal(number, handler)

    def install(self) -> None:
        """Handle the signals again within `handled`: Lightning installs handlers, too."""
        if self._active:
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def wait(self) -> None:
        """Only remember signals from now on: the run looks at `name` when it can stop."""
        self._waits = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        if not self._waits:
            raise Stopped
