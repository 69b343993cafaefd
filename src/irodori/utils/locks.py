"""The lock of a folder."""

from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from irodori.utils.errors import IrodoriError

LOCK = ".lock"
"""The file that `lock` leaves in a folder."""


def lock(folder: Path, refusal: str, patience: float = 0) -> "AcquireReturnProxy[FileLock]":
    """Return a held lock of a folder, which ends as a context manager, or with the process.

    Raises:
        IrodoriError: another process holds the folder, still after `patience` seconds.
    """
    try:
        return FileLock(folder / LOCK).acquire(timeout=patience)
    except Timeout:
        raise IrodoriError(refusal) from None
