"""Writing one shard in a worker process."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from irodori.data.writer import shard_writer
from irodori.data.writing.photo import Preparation, Prepared, RejectedError, prepare
from irodori.data.writing.pool import advance
from irodori.data.writing.source import Entry, key_of
from irodori.data.writing.state import Record, write_record
from irodori.errors import IrodoriError

AT_ONCE = 16
"""So many images are prepared between looks at whether to stop."""


@dataclass(frozen=True)
class ShardTask:
    """A shard to be written: its name without `.tar`, and its images in their order.

    threads: prepare so many images at a time, for when there are fewer shards than cores.
    """

    name: str
    root: Path
    output: Path
    entries: Sequence[Entry]
    wanted: Preparation
    threads: int = 1


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
    prepared = partial(_prepared, task.root, task.wanted)
    if task.threads == 1:
        yield from _in_batches(task.entries, AT_ONCE, lambda batch: map(prepared, batch))
        return
    with ThreadPoolExecutor(task.threads) as pool:
        size = AT_ONCE * task.threads
        yield from _in_batches(task.entries, size, lambda batch: pool.map(prepared, batch))


def _in_batches(
    entries: Sequence[Entry],
    size: int,
    prepare_all: Callable[[Sequence[Entry]], Iterator[Prepared | str]],
) -> Iterator[tuple[Entry, Prepared | str]]:
    for start in range(0, len(entries), size):
        batch = entries[start : start + size]
        yield from zip(batch, prepare_all(batch), strict=True)
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
