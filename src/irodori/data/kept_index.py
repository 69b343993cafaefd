"""Indexes of shards that have none: made once, kept in a folder of ours, found again."""

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from irodori.data.index import Shard, read_index_file, shard_row, write_rows
from irodori.utils.errors import IrodoriError

SCAN_VERSION = 2
"""Changes when `scan` finds other samples in a shard than it did before."""


def kept_index(
    folder: Path, path: Path | str, num_bytes: int, tag: str, make: Callable[[], Shard]
) -> Shard:
    """Return the shard's columns from `folder`, else by `make`, and then keep them there.

    Args:
        path, num_bytes, tag: which file it is; another length or tag is another content. With a
            tag of "" nothing is kept.
    """
    file = folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"
    identity = {"shard": str(path), "bytes": num_bytes, "tag": tag, "scan": SCAN_VERSION}
    with suppress(IrodoriError):  # there is none, or it is damaged or of another version
        index = read_index_file(file, lambda _: path)
        if tag and index.made_by == identity and len(index.shards) == 1:
            return replace(index.shards[0], tag=tag)
    shard = replace(make(), tag=tag)
    if tag:
        try:
            write_rows(file, [shard_row(shard, shard.name)], (), identity)
        except OSError as error:
            _warn(f"indexes of shards can't be kept in {folder}: {error.strerror}; set data.cache")
    return shard


@cache
def _warn(line: str) -> None:
    """Print a line on stderr, once."""
    print(line, file=sys.stderr, flush=True)
