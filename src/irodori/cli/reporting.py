"""How commands end: errors and signals give one line on stderr and an exit status."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from irodori.utils.errors import IrodoriError, file_problem


class Terminated(BaseException):
    """Raised on SIGTERM; like KeyboardInterrupt, it isn't caught by `except Exception`."""


@contextmanager
def report_errors(advice: str = "") -> Iterator[None]:
    """End the command with one line on an error (status 1), Ctrl-C (130) or SIGTERM (143).

    Args:
        advice: printed after Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    after = f": {advice}" if advice else ""
    try:
        yield
    except IrodoriError as error:
        fail(str(error))
    except OSError as error:
        if (problem := file_problem(error)) is None:
            raise
        fail(problem)
    except KeyboardInterrupt:
        _exit_at_once(f"interrupted{after}", 130)
    except Terminated:
        _exit_at_once(f"terminated{after}", 143)


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 1."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    raise typer.Exit(1) from None


def _exit_at_once(line: str, status: int) -> NoReturn:
    """Exit without waiting for threads that are processing a photo."""
    print(line, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(status)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
