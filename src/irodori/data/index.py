"""The index of a set of shards: which samples there are, their classes, and where their bytes lie.

With it every worker can read any sample by one seek, and who reads what is decided before a
shard is opened. It comes from `index.json` beside the shards, or from scanning any webdataset
`.tar`.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irodori.data.files import replacing
from irodori.data.keys import Keys
from irodori.errors import IrodoriError, one_line

INDEX_NAME = "index.json"
INDEX_VERSION = 2
NO_CLASS = -1
COLUMNS = {"labels": np.int32, "offsets": np.int64, "sizes": np.int32}
"""The columns of numbers that every shard has, in no wider types than millions of rows need."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """One `.tar` and the columns of its n samples, in the order of the tar.

    path: absolute, where the shard lies now. labels: n class ids, −1 for none.
    offsets: n positions of the image's data in the tar, in bytes. sizes: n lengths, in bytes.
    num_bytes: the length of the whole file. sha256: of the whole file, hexadecimal, "" where it is
    not known. crc32: n checksums of the images' bytes, None where they are not known.
    """

    path: Path
    keys: Keys
    labels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    num_bytes: int = -1
    sha256: str = ""
    crc32: npt.NDArray[np.uint32] | None = None

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
    def labels(self) -> npt.NDArray[np.int32]:
        """The class ids of all samples, −1 for none."""
        return np.concatenate([np.empty(0, np.int32), *(shard.labels for shard in self.shards)])

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

    A shard is a line of the file. Those without known checksums are read once to compute them.
    """
    folder = Path(folder).absolute()
    head = {"version": INDEX_VERSION, "classes": list(classes), "made_by": dict(made_by)}
    with replacing(folder / INDEX_NAME) as file:
        file.write(_json(head)[:-1] + b',"shards":[')
        for number, shard in enumerate(shards):
            file.write((b",\n" if number else b"\n") + _json(_row(folder, shard)))
        file.write(b"\n]}\n")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _row(folder: Path, shard: Shard) -> dict[str, Any]:
    """A shard as it stands in `index.json`."""
    sha256, crc32 = shard.sha256, shard.crc32
    if not sha256 or crc32 is None:
        sha256, crc32 = checksums(shard)
    return {
        "name": shard.path.relative_to(folder).as_posix(),
        "bytes": shard.path.stat().st_size,
        "sha256": sha256,
        "samples": len(shard),
        "keys": list(shard.keys),
        **{name: getattr(shard, name).tolist() for name in COLUMNS},
        "crc32": crc32.tolist(),
    }


def checksums(shard: Shard) -> tuple[str, npt.NDArray[np.uint32]]:
    """The sha256 of a local shard, and the crc32 of each of its images, from the file."""
    with shard.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        crc32 = np.empty(len(shard), np.uint32)
        for i, (offset, size) in enumerate(zip(shard.offsets, shard.sizes, strict=True)):
            file.seek(int(offset))
            crc32[i] = zlib.crc32(file.read(int(size)))
    return digest, crc32


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
    columns = {name: np.array(row[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    crc32 = np.array(row["crc32"], dtype=np.uint32)
    keys = Keys(row["keys"])
    name, num_bytes = str(row["name"]), int(row["bytes"])
    if {len(keys), len(crc32), *map(len, columns.values())} != {row["samples"]}:
        raise ValueError(f"columns of unequal length for {name}")
    offsets, sizes = columns["offsets"], columns["sizes"]
    if keys and (offsets.min() < 0 or (offsets + sizes).max() > num_bytes):
        raise ValueError(f"an image outside of {name}")
    return Shard(
        path=folder / name,
        keys=keys,
        labels=columns["labels"],
        offsets=offsets,
        sizes=sizes,
        num_bytes=num_bytes,
        sha256=str(row["sha256"]),
        crc32=crc32,
    )
