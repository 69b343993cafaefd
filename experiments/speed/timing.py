"""What a call takes."""

import time
from collections.abc import Callable

import torch


def seconds(call: Callable[[], object]) -> float:
    """Of one call, with all that a GPU does of it."""
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def wait() -> None:
    """Until a GPU has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
