"""Asking again: exponential back-off with jitter, a bounded number of times."""

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
"""Seconds between two tries: at first, and at most; each is drawn from half of it to all of it."""

Answer = TypeVar("Answer")


class RefusedError(OSError):
    """A file can't be had, and asking again won't help; the message names it.

    missing: because it isn't there, or isn't shown to us.
    """

    def __init__(self, message: str, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class TransientError(OSError):
    """Something broke that may be whole at the next try.

    wait: seconds that the server asks for. progress: whether a good part came before it broke.
    """

    def __init__(self, message: str, wait: float = 0.0, progress: bool = False) -> None:
        super().__init__(message)
        self.wait = wait
        self.progress = progress


@dataclass(frozen=True)
class Network:
    """How patiently servers are asked.

    retries: tries after the first that failed, until a good part of the file has come.
    timeout: seconds without a byte after which an answer counts as broken off.
    """

    retries: int = 8
    timeout: float = 30.0


_failing: set[str] = set()
"""Files and hosts that this process gave up on and that haven't answered since.

They get one try each: otherwise every sample of a dead server would take all the waits again.
"""


def retrying(url: str, ask: Callable[[], Answer], network: Network) -> Answer:
    """The first good answer of `ask`; a series of retries is told in one line on stderr.

    Raises:
        RefusedError: by `ask`, or because every try failed.
    """
    places = {url, urlsplit(url).netloc}
    failures = told = 0
    while True:
        try:
            answer = ask()
        except TransientError as error:
            failures = 1 if error.progress else failures + 1
            retries = 0 if _failing & places else network.retries
            if failures > retries:
                _failing.update(places)
                after = f"; gave up after {retries} retries" if retries else ""
                raise RefusedError(f"{error}{after}") from error
            if not told:
                print(f"{error}; trying again, up to {retries} times", file=sys.stderr, flush=True)
            told += 1
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1)) * random.uniform(0.5, 1)
            time.sleep(max(wait, min(error.wait, LONGEST_WAIT)))
        else:
            _failing.difference_update(places)
            return answer
