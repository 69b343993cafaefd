"""What an unfinished output knows of itself, so that the same command goes on."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irodori.data.index import COLUMNS, INDEX_NAME, Keys, Shard, read_index
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

UNFINISHED = ".unfinished"
"""The folder in the output that holds the job and a record of each finished shard."""
REJECTED_NAME = "rejected.csv"


@dataclass(frozen=True)
class Record:
    """What came of a shard's images: the shard (None if no image is left), and who was left out.

    rejected: (path, reason) of each.
    """

    name: str
    shard: Shard | None
    rejected: tuple[tuple[str, str], ...]


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """The output folder for this process alone. Raises IrodoriError if another is at work there."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise IrodoriError(f"cannot make the folder {output}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise IrodoriError(
            f"another process is writing shards to {output}: wait for it, or end it"
        ) from error
    finally:
        os.close(descriptor)


def finished(output: Path, job: Mapping[str, Any]) -> bool:
    """Whether all shards of this job stand there already.

    Raises IrodoriError if the output holds those of another job.
    """
    if not (output / INDEX_NAME).exists():
        return False
    made_by = read_index(output).made_by
    # Other versions of the libraries are no reason to write what is there once more.
    wanted = {name: value for name, value in job.items() if name not in ("version", "libraries")}
    _refuse_difference(output, "holds shards", made_by, wanted)
    shutil.rmtree(output / UNFINISHED, ignore_errors=True)  # killed between index and this
    return True


def begin(output: Path, job: Mapping[str, Any]) -> bool:
    """Make the output ready for this job; returns whether one is gone on with.

    Raises IrodoriError if it holds an unfinished other job, or files that this would overwrite.
    """
    path = output / UNFINISHED / "job.json"
    if not path.exists():
        clash = next((p for x in ("*.tar", REJECTED_NAME) for p in sorted(output.glob(x))), None)
        if clash is not None:
            raise IrodoriError(f"{clash} is there already: choose another folder for the shards")
        with replacing(path) as file:
            file.write(json.dumps(job).encode())
        return False
    _refuse_difference(output, "holds an unfinished job", json.loads(path.read_bytes()), job)
    # A killed process can't take its unfinished files away.
    for folder in (output, path.parent):
        for part in folder.glob(".*.part"):
            part.unlink(missing_ok=True)
    return True


def write_record(output: Path, record: Record) -> None:
    """Note that a shard is done; it must have its final name already."""
    shard = record.shard
    stored: dict[str, Any] = {"rejected": record.rejected}
    if shard is not None:
        assert shard.crc32 is not None
        stored["shard"] = {
            "keys": list(shard.keys),
            "num_bytes": shard.num_bytes,
            "sha256": shard.sha256,
            "crc32": shard.crc32.tolist(),
            **{name: getattr(shard, name).tolist() for name in COLUMNS},
        }
    with replacing(_record_path(output, record.name)) as file:
        file.write(json.dumps(stored).encode())


def read_record(output: Path, name: str) -> Record | None:
    """What was noted of a shard; None if it is not done, or is no more as it was."""
    try:
        stored = json.loads(_record_path(output, name).read_bytes())
    except FileNotFoundError:
        return None
    rejected = tuple((path, reason) for path, reason in stored["rejected"])
    row = stored.get("shard")
    if row is None:
        return Record(name, None, rejected)
    path = output / f"{name}.tar"
    if not path.is_file() or path.stat().st_size != row["num_bytes"]:
        return None
    shard = Shard(
        path=path,
        keys=Keys(row["keys"]),
        labels=np.array(row["labels"], np.int32),
        offsets=np.array(row["offsets"], np.int64),
        sizes=np.array(row["sizes"], np.int32),
        num_bytes=row["num_bytes"],
        sha256=row["sha256"],
        crc32=np.array(row["crc32"], np.uint32),
    )
    return Record(name, shard, rejected)


def end(output: Path) -> None:
    """The index stands: nothing else is needed."""
    shutil.rmtree(output / UNFINISHED)


def _record_path(output: Path, name: str) -> Path:
    return output / UNFINISHED / f"{name}.json"


def _refuse_difference(
    output: Path, holds: str, there: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    before, now = _flat(there), _flat(wanted)
    differing = [name for name in now if before.get(name) != now[name]]
    if differing:
        said = ", ".join(f"{name} {before.get(name)}, now {now[name]}" for name in differing)
        raise IrodoriError(
            f"{output} {holds} of other settings or another source ({said}): "
            "give the same ones, or choose another folder"
        )


def _flat(job: Mapping[str, Any]) -> dict[str, Any]:
    """ "options": {"size": 256} → "options size": 256."""
    flat: dict[str, Any] = {}
    for name, value in job.items():
        if isinstance(value, Mapping):
            flat |= {f"{name} {inner}": x for inner, x in value.items()}
        else:
            flat[name] = value
    return flat
