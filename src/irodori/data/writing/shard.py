"""Writing one shard in a worker process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from irodori.data.writer import shard_writer
from irodori.data.writing.photo import Preparation, Prepared, RejectedError, prepare
from irodori.data.writing.pool import advance, cores
from irodori.data.writing.source import Entry, key_of
from irodori.data.writing.state import Record, write_record
from irodori.utils.errors import IrodoriError

AT_ONCE = 16
"""So many images a core are prepared between looks at whether to stop."""


@dataclass(frozen=True)
class ShardTask:
    """A shard to be written: its name without `.tar`, and its images in their order."""

    name: str
    root: Path
    output: Path
    entries: Sequence[Entry]
    wanted: Preparation


class _NoImageLeft(Exception):  # noqa: N818  (no error)
    pass


def write(task: ShardTask) -> Record:
    """Prepare and write the images that a shard can take, and note what came of them.

    Raises IrodoriError if the shard can't be written, and Stopped if the work is to end.
    """
    path = task.output / f"{task.name}.tar"
    rejected: list[tuple[str, str]] = []
    try:
        try:
            with shard_writer(path) as writer:
                for entry, outcome in _outcomes(task):
                    if isinstance(outcome, str):
                        rejected.append((entry.path, outcome))
                    else:
                        writer.add(key_of(entry.path), outcome.suffix, outcome.content, entry.label)
                if not len(writer):
                    raise _NoImageLeft
                shard = writer.close()
        except _NoImageLeft:
            record = Record(task.name, None, tuple(rejected))
        else:
            record = Record(task.name, shard, tuple(rejected))
        write_record(task.output, record)
    except OSError as error:
        raise IrodoriError(
            f"cannot write {path}: {error.strerror}; make that possible and give the same "
            "command again: finished shards stay"
        ) from error
    return record


def _outcomes(task: ShardTask) -> Iterator[tuple[Entry, Prepared | str]]:
    """Each image, prepared, or the reason why it is left out."""

    def prepared(entries: Sequence[Entry]) -> list[tuple[Entry, Prepared | str]]:
        return [(entry, _prepared(task.root, task.wanted, entry)) for entry in entries]

    left = task.entries
    with ThreadPoolExecutor() as pool:  # without a thread until it is given work
        while left:
            threads = cores()
            batch, left = left[: AT_ONCE * threads], left[AT_ONCE * threads :]
            parts = [batch[i : i + AT_ONCE] for i in range(0, len(batch), AT_ONCE)]
            # Pillow lets other threads work while it decodes, scales and encodes.
            for outcomes in map(prepared, parts) if threads == 1 else pool.map(prepared, parts):
                yield from outcomes
            advance(len(batch))


def _prepared(root: Path, wanted: Preparation, entry: Entry) -> Prepared | str:
    try:
        content = (root / entry.path).read_bytes()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    try:
        return prepare(content, wanted)
    except RejectedError as reason:
        return str(reason)
