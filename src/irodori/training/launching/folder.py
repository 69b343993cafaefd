"""Each sweep has a folder of its own."""

import fcntl
import os
from itertools import count
from pathlib import Path

from irodori.utils.errors import IrodoriError


def create_sweep_folder(folder: Path, named: bool) -> Path:
    """Create the sweep's folder, or another beside it if the name is taken; locked until the end.

    Args:
        folder: the wanted folder.
        named: whether the user named it; then it is this one or none.

    Raises:
        IrodoriError: a sweep is running in the folder that the user named.
    """
    if named:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = create_new_folder(folder)
    # The lock lies on the folder itself and ends with this process, however that comes about.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise IrodoriError(
            f"another sweep is running in {folder}: give another hydra.sweep.dir"
        ) from None
    return folder


def create_new_folder(folder: Path) -> Path:
    """Create the folder, or the first of folder-2, folder-3, … that doesn't exist."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        made = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            made.mkdir()
        except FileExistsError:
            continue
        return made
    raise AssertionError
