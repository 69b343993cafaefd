"""Files that appear whole or not at all, and the lock of a folder."""

import csv
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
from typing import Any

import psutil
from filelock import AcquireReturnProxy, FileLock, Timeout

from irodori.utils.errors import IrodoriError

PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")
"""Names of files that are being written: the target's name and the number of the process."""
LONGEST = 255
"""Bytes that a file's name may have, nearly everywhere."""
LOCK = ".lock"
"""The file that `lock` leaves in a folder."""


@contextmanager
def replacing(path: Path) -> Iterator[BufferedRandom]:
    """Open a binary file that appears as `path` when the block ends well, and not otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps ranks that write the same file apart.
    part = path.with_name(f".{_stem(path.name)}.{os.getpid()}.part")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        # A write that fails doesn't say of which file it was.
        error.filename = error.filename or str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_file(path, json.dumps(content, indent=2).encode() + b"\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, whole or not at all; None is an empty cell."""
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
    """Remove what `replacing` left unfinished of these targets.

    Files of this process go, and of processes that have ended.
    """
    names: dict[Path, set[str]] = defaultdict(set)
    for target in targets:
        names[target.parent].add(_stem(target.name))
    for folder, expected in names.items():
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in folder.iterdir():
                match = PART.fullmatch(path.name)
                if match and match["name"] in expected:
                    process = int(match["process"])
                    if process == os.getpid() or not psutil.pid_exists(process):
                        path.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left unfinished below a folder that no other writes to."""
    for part in folder.rglob(".*.part"):
        part.unlink()


def _stem(name: str) -> str:
    """Return the name, or a digest of it where nothing could be added to it."""
    if len(os.fsencode(name)) + len("..4194304.part") <= LONGEST:
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Bring the new name to disk, too, where folders can be opened."""
    with suppress(PermissionError):  # Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(folder: Path, refusal: str, patience: float = 0) -> "AcquireReturnProxy[FileLock]":
    """Return a held lock of a folder, which ends as a context manager, or with the process.

    Raises:
        IrodoriError: another process holds the folder, still after `patience` seconds.
    """
    try:
        return FileLock(folder / LOCK).acquire(timeout=patience)
    except Timeout:
        raise IrodoriError(refusal) from None
