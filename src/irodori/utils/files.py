"""Writing files atomically, and locking a folder."""

import csv
import errno
import hashlib
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from irodori.utils.errors import IrodoriError

if TYPE_CHECKING:
    from filelock import AcquireReturnProxy, FileLock

PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")
"""Name pattern of temporary files: the target's name and the process id."""
LONGEST = 255
"""Largest length of a file name in bytes on most file systems."""
LOCK = ".lock"
"""Name of the lock file in a folder."""


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


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_file(path, json.dumps(content, indent=2).encode() + b"\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file atomically; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_file(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the non-blank lines of a UTF-8 file with their numbers. Raises IrodoriError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise IrodoriError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"{path} is not UTF-8: save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left unfinished below a folder that no other writes to."""
    for part in folder.rglob(".*.part"):
        part.unlink()


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


def lock(folder: Path, refusal: str, patience: float = 0) -> "AcquireReturnProxy[FileLock]":
    """Lock a folder, until the returned context manager or the process ends.

    Raises:
        IrodoriError: another process still holds the lock after `patience` seconds.
    """
    # Imported here: `irodori colorize` locks nothing, and must not wait for it.
    from filelock import FileLock, Timeout

    try:
        return FileLock(folder / LOCK).acquire(timeout=patience)
    except Timeout:
        raise IrodoriError(refusal) from None
