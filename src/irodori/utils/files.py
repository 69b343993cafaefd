"""Writing files atomically."""

import errno
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

import psutil

PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")
"""Name pattern of temporary files: the target's name and the process id."""
LONGEST = 255
"""Largest length of a file name in bytes on most file systems."""


@contextmanager
def replacing(path: Path) -> Iterator[BufferedRandom]:
    """Open a binary file that appears at `path` only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id distinguishes ranks that write the same file.
    part = path.with_name(f".{_stem(path.name)}.{os.getpid()}.part")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        # Errors of failed writes don't contain the file name.
        if error.filename in (None, str(part)):
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def remove_stale_files(targets: Iterable[Path]) -> None:
    """Remove unfinished files of `replacing` for these targets.

    Files of this process and of ended processes are removed, also if a suffix was added to the
    target's name.
    """
    names: dict[Path, set[str]] = defaultdict(set)
    for target in targets:
        names[target.parent].add(_stem(target.name))
    for folder, expected in names.items():
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in folder.iterdir():
                match = PART.fullmatch(path.name)
                if match and expected & {match["name"], Path(match["name"]).stem}:
                    process = int(match["process"])
                    if process == os.getpid() or not psutil.pid_exists(process):
                        path.unlink(missing_ok=True)


def _stem(name: str) -> str:
    """Return the name, or a digest if the name is too long to be extended."""
    if len(os.fsencode(name)) + len("..4194304.part") <= LONGEST:
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Flush the renaming to disk, if folders can be opened and synced.

    Windows can't open them, and some network shares can't sync them.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP):
            raise
