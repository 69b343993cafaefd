"""Downloading one file: whole or not at all, and from where it broke off."""

import hashlib
import json
import os
from pathlib import Path

from irodori.data.files import replacing
from irodori.data.remote.retry import Network, RefusedError, TransientError, retrying
from irodori.data.remote.source import Source, Stat

GOOD_PART = 1 << 20
"""A try that brought so many bytes counts as progress: the number of tries starts anew."""


def part_of(path: Path) -> Path:
    """Where a download lies until it is whole."""
    return path.with_name(f".{path.name}.part")


def note_of(path: Path) -> Path:
    """What is known of the file that a part is of, as JSON."""
    return path.with_name(f".{path.name}.note")


def write_note(path: Path, num_bytes: int, tag: str) -> None:
    """Note the length and the tag of the file that will be `path`."""
    with replacing(note_of(path)) as file:
        file.write(json.dumps({"bytes": num_bytes, "tag": tag}).encode())


def read_note(path: Path) -> tuple[int, str]:
    """Length and tag of the file that the part is of; (0, "") without a readable note."""
    try:
        note = json.loads(note_of(path).read_bytes())
        return int(note["bytes"]), str(note["tag"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def discard(path: Path) -> None:
    """Remove what a download has left."""
    part_of(path).unlink(missing_ok=True)
    note_of(path).unlink(missing_ok=True)


def download(
    source: Source, path: Path, network: Network, num_bytes: int = -1, sha256: str = ""
) -> Stat:
    """Bring a file to `path`, which nobody else may write meanwhile; returns what it is.

    A part that an earlier try or process left is continued if it is of the same file.

    Args:
        num_bytes, sha256: what the file must be, where that is known.

    Raises:
        RefusedError: it can't be had, isn't as it must be, or can't be written.
    """

    wrong = 0

    def attempt() -> Stat:
        nonlocal wrong
        try:
            stat = _continued(source, path, num_bytes)
            if sha256 and sha256_of(part_of(path)) != sha256:
                discard(path)
                wrong += 1
                kind = TransientError if wrong == 1 else RefusedError
                raise kind(f"{source.url} arrived with another sha256 than its index names")
            with part_of(path).open("rb") as file:
                os.fsync(file.fileno())
            part_of(path).replace(path)
            note_of(path).unlink(missing_ok=True)
        except (RefusedError, TransientError):
            raise
        except OSError as error:
            raise RefusedError(f"cannot write {path}: {error.strerror}; see data.cache") from error
        return stat

    return retrying(source.url, attempt, network)


def _continued(source: Source, path: Path, num_bytes: int) -> Stat:
    """Bring the part to the file's length, or raise TransientError."""
    part = part_of(path)
    part.parent.mkdir(parents=True, exist_ok=True)
    length, tag = read_note(path)
    have = part.stat().st_size if part.exists() else 0
    # Of a part that is all there the last byte is asked for again: has the file changed since?
    body = source.body(min(have, length - 1) if tag and have else 0, tag)
    stat = body.stat
    if num_bytes not in (-1, stat.num_bytes):
        raise RefusedError(
            f"{source.url} has changed: {stat.num_bytes} bytes, its index says {num_bytes}"
        )
    if body.start == 0 or (stat.num_bytes, stat.tag) != (length, tag):
        if body.start:
            discard(path)
            raise TransientError(f"{source.url} has changed since its download began")
        part.unlink(missing_ok=True)
        write_note(path, stat.num_bytes, stat.tag)
        part.touch()
    have = body.start
    with part.open("r+b", buffering=0) as file:
        file.truncate(have)
        file.seek(have)
        try:
            for chunk in body.chunks:
                file.write(chunk)
                have += len(chunk)
        except TransientError as error:
            error.progress = have - body.start >= GOOD_PART
            raise
    if have != stat.num_bytes:
        if have > stat.num_bytes:
            discard(path)
        raise TransientError(
            f"{source.url} broke off after {have} of {stat.num_bytes} bytes",
            progress=have - body.start >= GOOD_PART,
        )
    return stat


def sha256_of(path: Path) -> str:
    """The sha256 of a local file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
