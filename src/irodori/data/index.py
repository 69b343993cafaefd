"""The index of a set of shards: which samples there are, their classes, and where their bytes lie.

With it every worker can read any sample by one seek, and who reads what is decided before a
shard is opened. It comes from `index.json` beside the shards, or from scanning any webdataset
`.tar`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irodori.data.files import replacing
from irodori.errors import IrodoriError, one_line

INDEX_NAME = "index.json"
INDEX_VERSION = 1
NO_CLASS = -1
COLUMNS = ("labels", "offsets", "sizes")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """One `.tar` and the columns of its n samples, in the order of the tar.

    path: absolute, where the shard lies now. labels: n class ids, −1 for none.
    offsets: n positions of the image's data in the tar, in bytes. sizes: n lengths, in bytes.
    num_bytes: the length of the whole file. sha256: hexadecimal, "" where it is not known.
    """

    path: Path
    keys: tuple[str, ...]
    labels: Ints
    offsets: Ints
    sizes: Ints
    num_bytes: int = -1
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False)
class Index:
    """The shards of a data set, in order, and the names of its classes."""

    shards: tuple[Shard, ...]
    classes: tuple[str, ...]
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def starts(self) -> Ints:
        """The position of each shard's first sample, and at the end the number of samples."""
        return np.cumsum([0, *map(len, self.shards)], dtype=np.int64)

    @cached_property
    def labels(self) -> Ints:
        """The class ids of all samples, −1 for none."""
        return np.concatenate([np.empty(0, np.int64), *(shard.labels for shard in self.shards)])

    @cached_property
    def class_counts(self) -> Ints:
        """How many samples each class has."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))

    def select(self, positions: Sequence[int]) -> "Index":
        """The index of only those shards, in the order given."""
        return Index(tuple(self.shards[i] for i in positions), self.classes, self.made_by)

    def locate(self, i: npt.ArrayLike) -> tuple[Ints, Ints]:
        """Shard numbers and sample numbers within the shard of positions in 0…len−1, any shape.

        Raises IndexError for a position outside.
        """
        positions = np.asarray(i, dtype=np.int64)
        if positions.size and (positions.min() < 0 or positions.max() >= len(self)):
            raise IndexError(f"a position outside 0…{len(self) - 1}")
        shard = np.searchsorted(self.starts, positions, side="right").astype(np.int64) - 1
        return shard, positions - self.starts[shard]


def write_index(
    folder: Path, shards: Sequence[Shard], classes: Sequence[str], made_by: Mapping[str, Any]
) -> None:
    """Write `index.json` for shards that lie in `folder`, whole or not at all.

    Shards without a known sha256 are read once to compute it.
    """
    folder = Path(folder).absolute()
    rows = []
    for shard in shards:
        digest = shard.sha256
        if not digest:
            with shard.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        row: dict[str, Any] = {
            "name": shard.path.relative_to(folder).as_posix(),
            "bytes": shard.path.stat().st_size,
            "sha256": digest,
            "samples": len(shard),
            "keys": shard.keys,
        }
        rows.append(row | {name: getattr(shard, name).tolist() for name in COLUMNS})
    index = {
        "version": INDEX_VERSION,
        "classes": list(classes),
        "made_by": dict(made_by),
        "shards": rows,
    }
    with replacing(folder / INDEX_NAME) as file:
        file.write(json.dumps(index, separators=(",", ":")).encode() + b"\n")


def read_index(folder: Path) -> Index:
    """Read a folder's `index.json`; the shards themselves are not touched.

    Raises IrodoriError if it is missing, damaged, or of a version that is not known.
    """
    path = Path(folder).absolute() / INDEX_NAME
    try:
        stored = json.loads(path.read_bytes())
        version = stored["version"]
        if version == INDEX_VERSION:
            shards = tuple(_read_shard(path.parent, row) for row in stored["shards"])
            return Index(shards, tuple(map(str, stored["classes"])), dict(stored["made_by"]))
    except OSError as error:
        raise IrodoriError(f"cannot read the index {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise IrodoriError(
            f"the index {path} is damaged ({one_line(error)}): delete it, and shards are scanned"
        ) from error
    raise IrodoriError(
        f"the index {path} has version {version!r}, known is {INDEX_VERSION}: "
        "update irodori, or delete the index, and the shards are scanned"
    )


def _read_shard(folder: Path, row: Mapping[str, Any]) -> Shard:
    """One row of `index.json`. Raises ValueError if its columns do not fit together."""
    labels, offsets, sizes = (np.array(row[name], dtype=np.int64) for name in COLUMNS)
    keys = tuple(map(str, row["keys"]))
    name, num_bytes = str(row["name"]), int(row["bytes"])
    if {len(keys), len(labels), len(offsets), len(sizes)} != {row["samples"]}:
        raise ValueError(f"columns of unequal length for {name}")
    if keys and (offsets.min() < 0 or (offsets + sizes).max() > num_bytes):
        raise ValueError(f"an image outside of {name}")
    return Shard(folder / name, keys, labels, offsets, sizes, num_bytes, str(row["sha256"]))
