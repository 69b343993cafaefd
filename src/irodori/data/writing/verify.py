"""Verifying a set of shards against its index."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from irodori.data.index import INDEX_NAME, Shard, checksums, read_index
from irodori.data.scan import scan
from irodori.data.writing.state import UNFINISHED
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import ProgressBar

NAMED = 20
"""Largest number of keys named in a message."""


@dataclass(frozen=True)
class Verdict:
    """Problems (one line each, in index order), and the numbers of checked shards and images."""

    problems: tuple[str, ...]
    damaged: int
    shards: int
    images: int


def verify(folder: Path, jobs: int) -> Verdict:
    """Compare every shard of a folder with `index.json`: bytes, images, keys and labels.

    Args:
        folder: folder of the shards; no other files are opened.
        jobs: number of threads; hashing releases the GIL.

    Raises:
        IrodoriError: the index is missing or damaged.
    """
    folder = Path(folder).expanduser().absolute()
    if not (folder / INDEX_NAME).is_file() and (folder / UNFINISHED).is_dir():
        raise IrodoriError(f"{folder} is unfinished: repeat the command `irodori shards write`")
    index = read_index(folder)
    lines: list[str] = []
    damaged = 0
    check = partial(_check, classes=len(index.classes))
    with ProgressBar("verifying images", len(index)) as bar, ThreadPoolExecutor(jobs) as pool:
        for shard, problems in zip(index.shards, pool.map(check, index.shards), strict=True):
            name = Path(shard.path).relative_to(folder)
            lines += [f"{name}: {problem}" for problem in problems]
            damaged += bool(problems)
            bar.advance(len(shard))
    extra = sorted(set(folder.rglob("*.tar")) - {Path(shard.path) for shard in index.shards})
    lines += [f"{path.relative_to(folder)}: not in the index" for path in extra]
    return Verdict(tuple(lines), damaged + len(extra), len(index.shards), len(index))


def _check(shard: Shard, classes: int) -> list[str]:
    try:
        return list(_problems(shard, classes))
    except FileNotFoundError:
        return ["missing"]
    except OSError as error:
        return [str(error.strerror)]


def _problems(shard: Shard, classes: int) -> Iterator[str]:
    path = Path(shard.path)
    num_bytes = path.stat().st_size
    if num_bytes != shard.num_bytes:
        yield f"{num_bytes} bytes, the index says {shard.num_bytes}"
    sha256, crc32 = checksums(shard)
    wrong = np.flatnonzero(crc32 != shard.crc32) if shard.crc32 is not None else np.empty(0, int)
    if wrong.size:
        yield f"damaged images: {_keys(shard, wrong)}"
    elif shard.sha256 and sha256 != shard.sha256:
        yield "its sha256 differs from the index"
    beyond = np.flatnonzero(shard.labels >= classes)
    if beyond.size:
        yield f"a class id beyond {classes - 1} in the index: {_keys(shard, beyond)}"
    try:
        found = scan(path)
    except IrodoriError as error:
        yield str(error).removeprefix(str(path)).removeprefix(":").strip()
        return
    ours, theirs = _rows(found), _rows(shard)
    if ours != theirs:
        different = sorted({row[0] for row in set(ours) ^ set(theirs)})
        yield f"its keys, labels or offsets differ from the index: {_listed(different)}"


def _rows(shard: Shard) -> list[tuple[str, int, int, int]]:
    columns = (column.tolist() for column in (shard.labels, shard.offsets, shard.sizes))
    return list(zip(shard.keys, *columns, strict=True))


def _keys(shard: Shard, positions: npt.NDArray[np.int64]) -> str:
    return _listed([shard.keys[i] for i in positions.tolist()])


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(map(repr, keys[:NAMED])) + more
