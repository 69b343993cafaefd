"""Locking a folder."""

from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from irodori.utils.errors import IrodoriError

LOCK = ".lock"
"""Name of the lock file in a folder."""


def lock(folder: Path, refusal: str, patience: float = 0) -> "AcquireReturnProxy[FileLock]":
    """Lock a folder, until the returned context manager or the process ends.

    Raises:
        IrodoriError: another process still holds the lock after `patience` seconds.
    """
    try:
        return FileLock(folder / LOCK).acquire(timeout=patience)
    except Timeout:
        raise IrodoriError(refusal) from None
