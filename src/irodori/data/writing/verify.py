"""Checking a set of shards against its index."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from irodori.data.index import INDEX_NAME, Shard, checksums, read_index
from irodori.data.scan import scan
from irodori.data.writing.pool import advance, run
from irodori.data.writing.progress import Meter
from irodori.data.writing.state import UNFINISHED
from irodori.utils.errors import IrodoriError

NAMED = 20
"""At most so many keys are named in a line."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong, a line each, in the order of the index; and how much was looked at."""

    problems: tuple[str, ...]
    damaged: int
    shards: int
    images: int


def verify(folder: Path, jobs: int | None = None) -> Verdict:
    """Compare every shard of a folder with `index.json`: bytes, images, keys and labels.

    Raises IrodoriError if there is no index, or no whole one.
    """
    folder = Path(folder).expanduser().absolute()
    if not (folder / INDEX_NAME).is_file() and (folder / UNFINISHED).is_dir():
        raise IrodoriError(f"{folder} is unfinished: give the same `irodori shards write` again")
    index = read_index(folder)
    tasks = [_Task(number, x, len(index.classes)) for number, x in enumerate(index.shards)]
    jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
    if jobs < 1:
        raise IrodoriError(f"--jobs is {jobs}: give a number from 1")
    found: dict[int, list[str]] = {}
    with Meter(len(index)) as meter:
        found.update(run(_verify, tasks, jobs, meter.update))
    paths = [Path(shard.path) for shard in index.shards]
    extra = sorted(set(folder.rglob("*.tar")) - set(paths))
    return Verdict(
        problems=(
            *(
                f"{path.relative_to(folder)}: {line}"
                for number, path in enumerate(paths)
                for line in found[number]
            ),
            *(f"{path.relative_to(folder)}: not in the index" for path in extra),
        ),
        damaged=sum(map(bool, found.values())) + len(extra),
        shards=len(index.shards),
        images=len(index),
    )


@dataclass(frozen=True)
class _Task:
    number: int
    shard: Shard
    classes: int


def _verify(task: _Task) -> tuple[int, list[str]]:
    try:
        lines = _problems(task.shard, task.classes)
    except OSError as error:
        lines = ["missing" if isinstance(error, FileNotFoundError) else f"{error.strerror}"]
    advance(len(task.shard))
    return task.number, lines


def _problems(shard: Shard, classes: int) -> list[str]:
    lines = []
    path = Path(shard.path)
    num_bytes = path.stat().st_size
    if num_bytes != shard.num_bytes:
        lines.append(f"{num_bytes} bytes, the index says {shard.num_bytes}")
    sha256, crc32 = checksums(shard)
    assert shard.crc32 is not None
    wrong = np.flatnonzero(crc32 != shard.crc32)
    if wrong.size:
        lines.append(f"damaged images: {_named(shard, wrong)}")
    elif sha256 != shard.sha256:
        lines.append("its sha256 is not that of the index, though all images are whole")
    beyond = np.flatnonzero(shard.labels >= classes)
    if beyond.size:
        lines.append(f"a class id beyond {classes - 1} in the index: {_named(shard, beyond)}")
    try:
        there = scan(path)
    except IrodoriError as error:
        return [*lines, str(error).removeprefix(str(path)).removeprefix(":").strip()]
    if list(there.keys) != list(shard.keys):
        differing = set(there.keys) ^ set(shard.keys)
        lines.append(
            f"its keys are not those of the index: {_listed(sorted(differing))}"
            if differing
            else "its keys come in another order than in the index"
        )
    else:
        for what, ours, theirs in (
            ("labels", there.labels, shard.labels),
            ("offsets", there.offsets, shard.offsets),
            ("sizes", there.sizes, shard.sizes),
        ):
            other = np.flatnonzero(ours != theirs)
            if other.size:
                lines.append(f"its {what} are not those of the index: {_named(shard, other)}")
    return lines


def _named(shard: Shard, places: npt.NDArray[np.int64]) -> str:
    return _listed([shard.keys[int(i)] for i in places])


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(map(repr, keys[:NAMED])) + more
