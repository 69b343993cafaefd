"""The state of an unfinished output, from which repeating the command resumes."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irodori.data.index import INDEX_NAME, Shard, read_index, read_index_file, write_index
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import lock, write_json

UNFINISHED = ".unfinished"
"""Folder in the output with the job, its split, and a record of each finished shard."""
JOB, SPLIT = "job.json", "split.json"
REJECTED_NAME, DUPLICATES_NAME = "rejected.csv", "duplicates.csv"


@dataclass(frozen=True)
class Record:
    """A finished shard (None if no image was accepted) and its rejected images.

    Attributes:
        rejected: (path, reason) of each rejected image.
    """

    shard: Shard | None
    rejected: tuple[tuple[str, str], ...]


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Lock an output folder; remove the state at the end unless a job remains to be resumed.

    Raises:
        IrodoriError: another process is writing to the folder.
    """
    folder = output / UNFINISHED
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder, f"another process is writing shards to {output}: wait for it, or end it"):
        try:
            yield
        finally:
            if (output / INDEX_NAME).exists() or not (folder / JOB).exists():
                shutil.rmtree(folder)


def is_finished(output: Path, job: Mapping[str, Any]) -> bool:
    """Return whether the output already contains all shards of this job.

    Raises:
        IrodoriError: the output contains the shards of another job.
    """
    if not (output / INDEX_NAME).exists():
        return False
    made_by = read_index(output).made_by
    # Other versions of libraries don't require writing existing shards again.
    wanted = {group: job[group] for group in ("source", "options")}
    _refuse_difference(output, "holds shards", made_by, wanted)
    return True


def resume_or_begin(output: Path, job: Mapping[str, Any]) -> bool:
    """Prepare the output for this job; return whether an interrupted one is resumed.

    Raises:
        IrodoriError: the output has another unfinished job, or files that would be overwritten.
    """
    path = output / UNFINISHED / JOB
    if not path.exists():
        clashes = [*output.glob("*.tar"), output / REJECTED_NAME, output / DUPLICATES_NAME]
        clash = next((path for path in sorted(clashes) if path.exists()), None)
        if clash is not None:
            raise IrodoriError(f"{clash} already exists: choose another folder for the shards")
        write_json(path, job)
        return False
    wanted = {group: job[group] for group in ("source", "options", "libraries")}
    _refuse_difference(output, "holds an unfinished job", read_json(path), wanted)
    # Unfinished files of a killed process.
    for folder in (output, path.parent):
        for part in folder.glob(".*.part"):
            part.unlink()
    return True


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of the state; raise IrodoriError if it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        reason = one_line(error)
        raise IrodoriError(f"{path} is damaged ({reason}): choose another folder") from None


def write_record(output: Path, name: str, record: Record) -> None:
    """Record that a shard is finished; it must already have its final name."""
    shards = [] if record.shard is None else [record.shard]
    write_index(output / UNFINISHED, shards, (), {"rejected": record.rejected}, f"{name}.json")


def read_record(output: Path, name: str) -> Record | None:
    """Return the record of a shard; None if it is unfinished or has changed since."""
    path = output / UNFINISHED / f"{name}.json"
    if not path.exists():
        return None
    index = read_index_file(path, lambda file_name: output / file_name)
    shard = index.shards[0] if index.shards else None
    tar = output / f"{name}.tar"
    if shard is not None and not (tar.is_file() and tar.stat().st_size == shard.num_bytes):
        return None
    return Record(shard, tuple((path, reason) for path, reason in index.made_by["rejected"]))


def _refuse_difference(
    output: Path, holds: str, there: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    different = [
        f"{group} {name} {there.get(group, {}).get(name)}, now {value}"
        for group in wanted
        for name, value in wanted[group].items()
        if there.get(group, {}).get(name) != value
    ]
    if different:
        raise IrodoriError(
            f"{output} {holds} with other settings or another source ({', '.join(different)}): "
            "use the same ones, or choose another folder"
        )
