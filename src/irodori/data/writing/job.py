"""The job that writes a source as shards with an index, and resumes after interruptions."""

import os
import signal
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

import PIL
from PIL import features

import irodori
from irodori.data.index import Shard, write_index
from irodori.data.writer import shard_writer
from irodori.data.writing import state
from irodori.data.writing.layouts import read_source
from irodori.data.writing.prepare import (
    NEAR_GRAY,
    QUALITY,
    Options,
    Prepared,
    fingerprint_files,
    prepare_files,
)
from irodori.data.writing.source import (
    TRAIN,
    VAL,
    Entry,
    Source,
    group_duplicates,
    into_shards,
    key_clashes,
    key_of,
    shuffled,
    split,
)
from irodori.utils.cores import available_cores
from irodori.utils.errors import IrodoriError, check_range
from irodori.utils.files import write_csv, write_json
from irodori.utils.progress import ProgressBar, waiting

VAL_SHARE = 0.05
CHUNK = 16
"""Number of images per task of a worker process."""

AHEAD = 4
"""Number of tasks per worker that may be queued, running or finished but not yet consumed."""

Row = tuple[str, ...]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Summary:
    """Counts of written and rejected images.

    Attributes:
        files: number of files: train + val + rejected.
        reasons: number of rejected files by kind of reason.
        duplicates: number of images equal or nearly equal to another one; they are kept.
    """

    files: int
    train: int
    val: int
    reasons: Counter[str]
    duplicates: int
    shards: int
    num_bytes: int


@dataclass(frozen=True)
class _Job:
    source: Source
    output: Path
    options: Options
    jobs: int

    def over_files(
        self, function: Callable[..., list[Result]], entries: Sequence[Entry], what: str, done: int
    ) -> Generator[Result, None, None]:
        """Yield what `function(root, options, paths)` returns for each entry, in order."""
        paths = [entry.path for entry in entries]
        chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
        work = partial(function, self.source.root, self.options)
        jobs = max(1, min(self.jobs, len(chunks)))
        with (
            ProgressBar(what, done + len(paths), done) as bar,
            closing(ordered_results(work, chunks, jobs)) as results,
        ):
            for result in results:
                yield from result
                bar.advance(len(result))


def write_source(
    source_path: Path,
    output: Path,
    options: Options,
    layout: str | None = None,
    jobs: int | None = None,
    report: Callable[[str], None] = print,
) -> Summary | None:
    """Write a source as shards `train-NNNNNN.tar` and `val-NNNNNN.tar`, with reports and an index.

    The bytes depend only on source, options and versions of libraries, not on `jobs` (number of
    processes, by default the number of cores) or interruptions. Returns None if the output is
    already complete.

    Raises:
        IrodoriError: the source, the options or the output are invalid.
    """
    options.check()
    jobs = processes(jobs)
    with waiting(f"listing the files of {source_path}"):
        source = read_source(source_path, layout)
    if source.has_split and options.val_share is not None:
        raise IrodoriError(f"{source_path} already has a split: omit --val-share")
    report(
        f"layout {source.layout}: {len(source.entries):,} images, {len(source.classes):,} classes"
        + (", split as published" if source.has_split else "")
    )
    clashes = key_clashes(source.entries)
    for line in (*source.notes, *clashes):
        report(line)
    if clashes:
        raise IrodoriError(f"keys of several files: {len(clashes):,}; rename or remove these files")
    job = describe(source, options)
    output = Path(output).expanduser().absolute()
    try:
        with state.locked(output):
            if state.is_finished(output, job):
                return None
            if state.resume_or_begin(output, job):
                report("resuming the interrupted job")
            return _write(_Job(source, output, options, jobs), job)
    except OSError as error:
        raise IrodoriError(
            f"cannot write {error.filename or output}: {error.strerror}; fix this and "
            "repeat the command: finished shards are kept"
        ) from error
    except MemoryError as error:
        raise IrodoriError("not enough memory: repeat the command with fewer --jobs") from error


def processes(jobs: int | None) -> int:
    """Return the number of processes, by default that of cores; IrodoriError below 1."""
    jobs = available_cores() if jobs is None else jobs
    check_range("--jobs", jobs, 1, 1024)
    return jobs


def describe(source: Source, options: Options) -> dict[str, Any]:
    """Return everything that the bytes depend on, without local paths."""
    val_share = options.val_share if options.val_share is not None else VAL_SHARE
    return {
        "command": "irodori shards write",
        "version": irodori.__version__,
        "libraries": {
            "Pillow": PIL.__version__,
            "libjpeg": str(features.version("libjpeg_turbo") or features.version("jpg")),
        },
        "source": {
            "layout": source.layout,
            "files": len(source.entries),
            "sha256 of names": source.digest(),
        },
        "options": {
            **asdict(options),
            "jpeg_quality": QUALITY,
            "val_share": "published" if source.has_split else val_share,
        },
    }


def _write(job: _Job, description: dict[str, Any]) -> Summary:
    source, output = job.source, job.output
    (train, val), duplicates = _split(job)
    if duplicates:
        write_csv(output / state.DUPLICATES_NAME, ("path", "group"), duplicates)
    tasks = {
        f"{name}-{number:06d}": entries
        for name, side in ((TRAIN, train), (VAL, val))
        for number, entries in enumerate(
            into_shards(shuffled(side, job.options.seed), job.options.shard_samples)
        )
    }
    records = {name: state.read_record(output, name) for name in tasks}
    todo = {name: tasks[name] for name, record in records.items() if record is None}
    entries = [entry for each in todo.values() for entry in each]
    done = len(source.entries) - len(entries)
    with closing(job.over_files(prepare_files, entries, "writing images", done)) as outcomes:
        for name, expected in todo.items():
            outcomes_of_shard = zip(expected, islice(outcomes, len(expected)), strict=True)
            records[name] = record = _write_shard(output / f"{name}.tar", outcomes_of_shard)
            state.write_record(output, name, record)
    finished = [record for record in records.values() if record is not None]
    rejected = sorted([row for record in finished for row in record.rejected] + [*source.others])
    write_csv(output / state.REJECTED_NAME, ("path", "reason"), rejected)
    shards = [record.shard for record in finished if record.shard is not None]
    counts = {
        side: sum(len(shard) for shard in shards if shard.name.startswith(side))
        for side in (TRAIN, VAL)
    }
    if not counts[TRAIN]:
        raise IrodoriError(
            f"no image of {source.root} remains for training: see {output / state.REJECTED_NAME}"
        )
    reasons = Counter(reason.partition(":")[0] for _, reason in rejected)
    images = {
        **counts,
        NEAR_GRAY: reasons[NEAR_GRAY],
        "rejected": len(rejected) - reasons[NEAR_GRAY],
    }
    write_index(output, shards, source.classes, {**description, "images": images})
    return Summary(
        files=len(source.entries) + len(source.others),
        **counts,
        reasons=reasons,
        duplicates=len(duplicates),
        shards=len(shards),
        num_bytes=sum(shard.num_bytes for shard in shards),
    )


def _split(job: _Job) -> tuple[tuple[list[Entry], list[Entry]], list[Row]]:
    """Return training and validation samples, and (path, group) of each duplicate.

    The assignment of images to shards is fixed here, before any is written.
    """
    entries = job.source.entries
    share = job.options.val_share if job.options.val_share is not None else VAL_SHARE
    groups = list(range(len(entries)))
    if share and not job.source.has_split:
        path = job.output / state.UNFINISHED / state.SPLIT
        if not path.exists():
            prints = job.over_files(fingerprint_files, entries, "comparing images", 0)
            write_json(path, group_duplicates(list(prints)))
        groups = state.read_json(path)
    sizes = Counter(groups)
    duplicates = [
        (entries[i].path, entries[group].path) for i, group in enumerate(groups) if sizes[group] > 1
    ]
    return split(entries, share, groups), sorted(duplicates, key=lambda row: (row[1], row[0]))


def _write_shard(path: Path, outcomes: Iterable[tuple[Entry, Prepared | str]]) -> state.Record:
    """Write the accepted images of a shard."""
    rejected: list[tuple[str, str]] = []

    def kept() -> Iterator[tuple[Entry, Prepared]]:
        for entry, outcome in outcomes:
            if isinstance(outcome, str):
                rejected.append((entry.path, outcome))
            else:
                yield entry, outcome

    samples = kept()
    first = next(samples, None)
    shard: Shard | None = None
    if first is not None:
        with shard_writer(path) as writer:
            for entry, image in chain([first], samples):
                writer.add(key_of(entry.path), image.suffix, image.content, entry.label)
            shard = writer.close()
    return state.Record(shard, tuple(rejected))


def ordered_results(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Generator[Result, None, None]:
    """Yield `function(task)` for each task, in order, from `jobs` processes (1: this process).

    Raises:
        IrodoriError: a worker process died.
        Exception: any exception of `function`.
    """
    if jobs == 1:
        yield from map(function, tasks)
        return
    # Spawned, since forking a process with threads may hang.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start)
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) > AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise IrodoriError(
            "a worker process died, perhaps for lack of memory: repeat the command "
            "with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    # Ctrl-C reaches all processes of a terminal; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Pillow warns of large images and unusual EXIF; relevant problems become reasons.
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit if the parent was killed; the worker would wait for tasks forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
