"""The state of an unfinished output, from which the same command resumes it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irodori.data.index import INDEX_NAME, Shard, read_index, read_index_file, write_index
from irodori.utils.errors import IrodoriError
from irodori.utils.files import lock, write_json

UNFINISHED = ".unfinished"
"""The folder in the output that holds the job, its split, and a record of each finished shard."""
JOB, SPLIT = "job.json", "split.json"
REJECTED_NAME, DUPLICATES_NAME = "rejected.csv", "duplicates.csv"


@dataclass(frozen=True)
class Record:
    """A finished shard (None if no image is left), and the images that were left out.

    Attributes:
        rejected: (path, reason) of each.
    """

    shard: Shard | None
    rejected: tuple[tuple[str, str], ...]


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Lock an output folder; where no job is left to resume, remove what only resuming needs.

    Raises:
        IrodoriError: another process writes there.
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
    """Return whether all shards of this job stand there already.

    Raises:
        IrodoriError: the output holds those of another job.
    """
    if not (output / INDEX_NAME).exists():
        return False
    made_by = read_index(output).made_by
    # Other versions of the libraries are no reason to write what is there once more.
    wanted = {group: job[group] for group in ("source", "options")}
    _refuse_difference(output, "holds shards", made_by, wanted)
    return True


def resume_or_begin(output: Path, job: Mapping[str, Any]) -> bool:
    """Make the output ready for this job; return whether an interrupted one is resumed.

    Raises:
        IrodoriError: it holds another unfinished job, or files that this one would overwrite.
    """
    path = output / UNFINISHED / JOB
    if not path.exists():
        clashes = [*output.glob("*.tar"), output / REJECTED_NAME, output / DUPLICATES_NAME]
        clash = next((path for path in sorted(clashes) if path.exists()), None)
        if clash is not None:
            raise IrodoriError(f"{clash} is there already: choose another folder for the shards")
        write_json(path, job)
        return False
    wanted = {group: job[group] for group in ("source", "options", "libraries")}
    _refuse_difference(output, "holds an unfinished job", json.loads(path.read_bytes()), wanted)
    # A killed process leaves its unfinished files.
    for folder in (output, path.parent):
        for part in folder.glob(".*.part"):
            part.unlink()
    return True


def write_record(output: Path, name: str, record: Record) -> None:
    """Note that a shard is done; it must have its final name already."""
    shards = [] if record.shard is None else [record.shard]
    write_index(output / UNFINISHED, shards, (), {"rejected": record.rejected}, f"{name}.json")


def read_record(output: Path, name: str) -> Record | None:
    """Return what was noted of a shard; None if it isn't done, or has changed since."""
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
            f"{output} {holds} of other settings or another source ({', '.join(different)}): "
            "give the same ones, or choose another folder"
        )
