"""Errors that are shown to the user on one line, without a traceback."""

import errno
import os

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Disk errors that are reported as a user's errors."""


class IrodoriError(Exception):
    """An error that the user can fix; its message says what is wrong, where, and what to do."""


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    """Raise IrodoriError if a number is out of range."""
    if not lowest <= value <= highest:
        raise IrodoriError(f"{name} is {value:g}: give a number from {lowest:g} to {highest:g}")


def one_line(error: BaseException) -> str:
    """Return an exception's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def file_problem(error: BaseException) -> str | None:
    """Return a message for an exception about a file that can't be read or written, or None.

    Errors of failed writes to a full disk don't contain the file name.
    """
    if not isinstance(error, OSError) or (error.filename is None and error.errno not in DISK):
        return None
    where = "a file" if error.filename is None else os.fsdecode(error.filename)
    return f"{where}: {error.strerror}; choose another path, or fix this"


MEMORY_MESSAGES = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Parts of torch's messages on the CPU, where it has no special exception."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error or its cause is due to lack of memory, on the CPU or a GPU."""
    while error is not None:
        # Compared by name, since this module doesn't import torch.
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and any(part in str(error) for part in MEMORY_MESSAGES):
            return True
        error = error.__context__
    return False
