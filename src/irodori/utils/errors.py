"""Mistakes of the user, shown as one line without a traceback."""

import os


class IrodoriError(Exception):
    """A mistake that the user can mend; its message says what is wrong, where, and what to do."""


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    """Raise IrodoriError unless a number lies in a range."""
    if not lowest <= value <= highest:
        raise IrodoriError(f"{name} is {value:g}: give a number from {lowest:g} to {highest:g}")


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def file_problem(error: BaseException) -> str | None:
    """Return which file can't be read or written, and why, if that is what an exception says."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}; choose another place, or mend it"
    return None


MEMORY_MESSAGES = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""torch's message on the CPU, where it has no exception of its own for this."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether memory ran out, on the CPU or a GPU: in the error or in what it came from."""
    while error is not None:
        # Torch's own class, by its name: this module doesn't import torch.
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and any(part in str(error) for part in MEMORY_MESSAGES):
            return True
        error = error.__context__
    return False
