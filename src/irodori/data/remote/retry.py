"""Asking again: exponential back-off with jitter, a bounded number of times."""

import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds between two tries: at first, and at most; each is drawn from half of it to all of it."""
LONGEST_RETRY_AFTER = 300.0
"""Seconds that are waited at most where the server asks for more."""

Answer = TypeVar("Answer")


class RefusedError(OSError):
    """A file can't be had, and asking again won't help; the message names it."""


class MissingError(RefusedError):
    """A file isn't there, or isn't shown to us."""


class ChangedError(RefusedError):
    """A file isn't what it was."""


class TransientError(OSError):
    """Something broke that may be whole after `wait` seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class Network:
    """How patiently servers are asked.

    retries: tries after the first that failed. timeout: seconds without a byte after which an
    answer counts as broken off.
    """

    retries: int = 8
    timeout: float = 30.0


_failing: set[str] = set()
"""Files and hosts that this process gave up on and that haven't answered since.

They get one try each: otherwise every sample of a dead server would take all the waits again.
"""


def retrying(url: str, ask: Callable[[], Answer], network: Network) -> Answer:
    """Return the first good answer of `ask`; a series of retries is reported in one line.

    Raises:
        RefusedError: by `ask`, or because every try failed.
    """
    places = {url, urlsplit(url).netloc}
    for failures in range(network.retries + 1):
        try:
            answer = ask()
        except TransientError as error:
            if failures == network.retries or _failing & places:
                _failing.update(places)
                after = f"; gave up after {failures} retries" if failures else ""
                raise RefusedError(f"{error}{after}") from error
            if not failures:
                tries = f"trying again, up to {network.retries} times"
                print(f"{error}; {tries}", file=sys.stderr, flush=True)
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2**failures) * random.uniform(0.5, 1)
            time.sleep(max(wait, min(error.wait, LONGEST_RETRY_AFTER)))
        else:
            _failing.difference_update(places)
            return answer
    raise AssertionError("the last try answers or raises")


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that an answer's Retry-After asks for, as a number or as a date."""
    said = headers.get("Retry-After", "")
    try:
        return (
            float(said) if said.isdigit() else parsedate_to_datetime(said).timestamp() - time.time()
        )
    except (TypeError, ValueError):
        return 0.0
