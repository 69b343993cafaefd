"""The whole job: a source to shards with an index, going on where it was interrupted."""

import csv
import io
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import PIL
from PIL import features

import irodori
from irodori.data.index import write_index
from irodori.data.writing import shard, split, state
from irodori.data.writing.layouts import read_source
from irodori.data.writing.photo import NEAR_GRAY, QUALITY, Preparation
from irodori.data.writing.pool import run
from irodori.data.writing.progress import Meter
from irodori.data.writing.source import TRAIN, VAL, Source, refuse_equal_keys
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

VAL_SHARE = 0.05


@dataclass(frozen=True)
class Options:
    """What decides the bytes that are written.

    val_share: of each class, for validation; None: 0.05, or the published split. shard_samples:
    images a shard, about. seed: of the order.
    """

    preparation: Preparation = field(default_factory=Preparation)
    val_share: float | None = None
    shard_samples: int = 1000
    seed: int = 0

    def check(self) -> None:
        """Raise IrodoriError for what is out of range."""
        for name, value, lowest, highest in (
            ("--size", self.preparation.size, 16, 16384),
            ("--near-gray", self.preparation.near_gray, 0, 128),
            ("--val-share", self.val_share or 0, 0, 0.9),
            ("--shard-samples", self.shard_samples, 1, 1_000_000),
        ):
            if not lowest <= value <= highest:
                raise IrodoriError(f"{name} is {value}: give a number from {lowest} to {highest}")
        if not self.preparation.decode and self.preparation.near_gray:
            raise IrodoriError("--no-decode sees no colours: give --near-gray 0 with it")


@dataclass(frozen=True)
class Summary:
    """What was written. reasons: how many files were left out by kind of reason.

    fresh: images that this process looked at; 0 if all was there already.
    """

    files: int
    train: int
    val: int
    reasons: Counter[str]
    shards: int
    num_bytes: int
    fresh: int


def write_source(
    source_path: Path,
    output: Path,
    options: Options,
    layout: str | None = None,
    jobs: int | None = None,
    say: Callable[[str], None] = print,
) -> Summary | None:
    """Write a source as shards `train-NNNNNN.tar` and `val-NNNNNN.tar`, rejected.csv and an index.

    The bytes depend on source, options and the versions of the libraries alone, not on `jobs`
    (processes, None: as many as cores), nor on whether the work was interrupted. Returns None if
    all of it was there already.

    Raises IrodoriError for what the source, the options or the output are not fit for.
    """
    options.check()
    jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
    if jobs < 1:
        raise IrodoriError(f"--jobs is {jobs}: give a number from 1")
    source = read_source(source_path, layout)
    if source.has_split and options.val_share is not None:
        raise IrodoriError(f"{source_path} has a split of its own: leave --val-share out")
    refuse_equal_keys(source.entries)
    say(
        f"layout {source.layout}: {len(source.entries):,} images, {len(source.classes):,} classes"
        + (", split as published" if source.has_split else "")
    )
    job = describe(source, options)
    output = Path(output).expanduser().absolute()
    with state.locked(output):
        if state.finished(output, job):
            return None
        try:
            goes_on = state.begin(output, job)
            return _write(source, output, options, job, jobs, goes_on, say)
        except OSError as error:
            raise IrodoriError(
                f"cannot write to {output}: {error.strerror}; make that possible and give the "
                "same command again"
            ) from error


def describe(source: Source, options: Options) -> dict[str, Any]:
    """All that the bytes depend on, without any path of this machine."""
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
            **asdict(options.preparation),
            "jpeg_quality": QUALITY,
            "val_share": "published" if source.has_split else val_share,
            "shard_samples": options.shard_samples,
            "seed": options.seed,
        },
    }


def _write(
    source: Source,
    output: Path,
    options: Options,
    job: dict[str, Any],
    jobs: int,
    goes_on: bool,
    say: Callable[[str], None],
) -> Summary:
    tasks = _tasks(source, output, options)
    records = {task.name: state.read_record(output, task.name) for task in tasks}
    todo = [task for task in tasks if records[task.name] is None]
    left = sum(len(task.entries) for task in todo)
    if goes_on:
        say(f"going on: {len(tasks) - len(todo)} of {len(tasks)} shards are done")
    with Meter(len(source.entries), len(source.entries) - left) as meter:
        for record in run(shard.write, todo, jobs, meter.update):
            records[record.name] = record
    done = [record for record in records.values() if record is not None]
    rejected = sorted([row for record in done for row in record.rejected] + list(source.others))
    _write_rejected(output, rejected)
    shards = [record.shard for record in done if record.shard is not None]
    counts = {
        split_name: sum(len(s) for s in shards if Path(s.path).name.startswith(split_name))
        for split_name in (TRAIN, VAL)
    }
    if not counts[TRAIN]:
        raise IrodoriError(
            f"no image of {source.root} is left for training: see {output / state.REJECTED_NAME}"
        )
    reasons = Counter(reason.partition(":")[0] for _, reason in rejected)
    counted = {**counts, NEAR_GRAY: reasons[NEAR_GRAY], "rejected": len(rejected)}
    counted["rejected"] -= reasons[NEAR_GRAY]
    write_index(output, shards, source.classes, {**job, "images": counted})
    state.end(output)
    return Summary(
        files=len(source.entries),
        train=counts[TRAIN],
        val=counts[VAL],
        reasons=reasons,
        shards=len(shards),
        num_bytes=sum(s.num_bytes for s in shards),
        fresh=left,
    )


def _tasks(source: Source, output: Path, options: Options) -> list[shard.ShardTask]:
    """Which images go into which shard is settled here, before any is looked at."""
    share = options.val_share if options.val_share is not None else VAL_SHARE
    parts = [
        (f"{name}-{number:06d}", entries)
        for name, side in zip((TRAIN, VAL), split.split(source.entries, share), strict=True)
        for number, entries in enumerate(
            split.dealt(split.shuffled(side, options.seed), options.shard_samples)
        )
    ]
    return [
        shard.ShardTask(name, source.root, output, entries, options.preparation)
        for name, entries in parts
    ]


def _write_rejected(output: Path, rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "reason"))
    writer.writerows(rows)
    with replacing(output / state.REJECTED_NAME) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))
