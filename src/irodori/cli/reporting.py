"""How commands end: mistakes and signals are one line on stderr and an exit status."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from irodori.utils.errors import IrodoriError


class Terminated(BaseException):
    """SIGTERM; as with KeyboardInterrupt, no `except Exception` stops it."""


@contextmanager
def report_errors(advice: str = "") -> Iterator[None]:
    """End the command with one line for a mistake (status 1), Ctrl-C (130) or SIGTERM (143).

    Args:
        advice: what to do after Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    after = f": {advice}" if advice else ""
    try:
        yield
    except IrodoriError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"interrupted{after}", 130)
    except Terminated:
        fail(f"terminated{after}", 143)


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with a line that says why."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    raise typer.Exit(status)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
