"""The index of a set of shards: which samples there are, their classes, and where their bytes lie.

With it every worker can read any sample by one seek, and who reads what is decided before a
shard is opened. It comes from `index.json` beside the shards, or from scanning any webdataset
`.tar`.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irodori.data.keys import Keys
from irodori.data.remote.urls import name_of
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

INDEX_NAME = "index.json"
INDEX_VERSION = 2
NO_CLASS = -1
COLUMNS = {"labels": np.int32, "offsets": np.int64, "sizes": np.int32}
"""The columns of numbers that every shard has, in types that are wide enough for any shard."""

ROWS_BEGIN, ROWS_END = b',"shards":[\n', b"]}\n"
"""What stands around the rows, one a line, in an index file."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """One `.tar` and the columns of its n samples, in the order of the tar.

    path: where the shard lies now: absolute, or a URL as text. labels: n class ids, −1 for none.
    offsets: n positions of the image's data in the tar, in bytes. sizes: n lengths, in bytes.
    num_bytes: the length of the whole file. sha256: of the whole file, hexadecimal, "" where it is
    not known. crc32: n checksums of the images' bytes, None where they are not known.
    tag: of a shard behind a URL, its ETag or time of change; "" where it is not known.
    unread: how many files look like images and can't be taken; "" if none.
    """

    path: Path | str
    keys: Keys
    labels: npt.NDArray[np.integer]
    offsets: npt.NDArray[np.integer]
    sizes: npt.NDArray[np.int32]
    num_bytes: int = -1
    sha256: str = ""
    crc32: npt.NDArray[np.uint32] | None = None
    tag: str = ""
    unread: str = ""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return name_of(self.path) if isinstance(self.path, str) else self.path.name

    def take(self, numbers: Ints) -> "Shard":
        """The shard as if it held only those samples; the file and its checksum stay the same."""
        columns = {name: getattr(self, name)[numbers] for name in COLUMNS}
        crc32 = None if self.crc32 is None else self.crc32[numbers]
        keys = Keys([self.keys[i] for i in numbers.tolist()])
        return replace(self, keys=keys, crc32=crc32, **columns)

    @property
    def local(self) -> Path:
        """The path of a shard that lies on this machine."""
        if isinstance(self.path, str):
            raise ValueError(f"{self.path} is not on this machine")
        return self.path


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
        counts = np.zeros(len(self.classes), np.int64)
        for shard in self.shards:
            counts += np.bincount(shard.labels[shard.labels >= 0], minlength=len(counts))
        return counts

    def select(self, positions: Sequence[int]) -> "Index":
        """The index of only those shards, in the order given."""
        return Index(tuple(self.shards[i] for i in positions), self.classes, self.made_by)

    def take(self, samples: Iterable[int]) -> "Index":
        """The index of only those samples, in the order of this index; shards without any are left
        out."""
        shards, numbers = self.locate(np.unique(np.fromiter(samples, np.int64)))
        return Index(
            tuple(self.shards[i].take(numbers[shards == i]) for i in np.unique(shards).tolist()),
            self.classes,
            self.made_by,
        )

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

    Those without known checksums are read once to compute them.
    """
    folder = Path(folder).absolute()
    rows = (
        shard_row(_with_checksums(shard), shard.local.relative_to(folder).as_posix())
        for shard in shards
    )
    write_rows(folder / INDEX_NAME, rows, classes, made_by)


def write_rows(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    classes: Sequence[str],
    made_by: Mapping[str, Any],
) -> None:
    """Write an index file, a shard a line."""
    head = {"version": INDEX_VERSION, "classes": list(classes), "made_by": dict(made_by)}
    with replacing(path) as file:
        file.write(_json(head)[:-1] + ROWS_BEGIN)
        for number, row in enumerate(rows):
            file.write((b",\n" if number else b"") + _json(row))
        file.write(b"\n" + ROWS_END)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def shard_row(shard: Shard, name: str) -> dict[str, Any]:
    """A shard as it stands in an index file."""
    return {
        "name": name,
        "bytes": shard.num_bytes,
        "sha256": shard.sha256,
        "samples": len(shard),
        "keys": list(shard.keys),
        **{column: getattr(shard, column).tolist() for column in COLUMNS},
        "crc32": None if shard.crc32 is None else shard.crc32.tolist(),
        **({"unread": shard.unread} if shard.unread else {}),
    }


def _with_checksums(shard: Shard) -> Shard:
    """The shard with what its file has now of length and checksums, unless these are known."""
    num_bytes = shard.local.stat().st_size
    if shard.sha256 and shard.crc32 is not None:
        return replace(shard, num_bytes=num_bytes)
    sha256, crc32 = checksums(shard)
    return replace(shard, num_bytes=num_bytes, sha256=sha256, crc32=crc32)


def checksums(shard: Shard) -> tuple[str, npt.NDArray[np.uint32]]:
    """The sha256 of a local shard, and the crc32 of each of its images, from the file."""
    with shard.local.open("rb") as file:
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
    folder = Path(folder).absolute()
    return read_index_file(folder / INDEX_NAME, lambda name: folder / name)


def read_index_file(path: Path, place: Callable[[str], Path | str]) -> Index:
    """Read an index file; `place` tells where the shard of a name lies.

    Raises IrodoriError if it is missing, damaged, or of a version that is not known.
    """
    try:
        head, rows = _by_lines(path) or _at_once(path)
        version = head["version"]
        if version == INDEX_VERSION:
            classes, made_by = tuple(map(str, head["classes"])), dict(head["made_by"])
            return Index(tuple(_read_shard(row, place) for row in rows), classes, made_by)
    except OSError as error:
        raise IrodoriError(f"cannot read the index {path}: {error.strerror}") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise IrodoriError(
            f"the index {path} is damaged ({one_line(error)}): delete it, and shards are scanned"
        ) from error
    raise IrodoriError(
        f"the index {path} has version {version!r}, known is {INDEX_VERSION}: "
        "update irodori, or delete the index, and the shards are scanned"
    )


Stored = tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]
"""An index file's head, and its rows in order."""


def _at_once(path: Path) -> Stored:
    """An index file in any layout."""
    stored = json.loads(path.read_bytes())
    return stored, stored["shards"]


def _by_lines(path: Path) -> Stored | None:
    """An index file as `write_rows` lays it out, or None; only one shard is in memory at a time."""
    with path.open("rb") as file:
        first = file.readline()
        file.seek(-min(len(ROWS_END) + 1, file.seek(0, os.SEEK_END)), os.SEEK_END)
        if not first.endswith(ROWS_BEGIN) or not file.read().endswith(b"\n" + ROWS_END):
            return None
    return json.loads(first + ROWS_END), _rows(path)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        file.readline()
        for line in file:
            if line != ROWS_END and line != b"\n":
                yield json.loads(line.removesuffix(b",\n"))


def _narrow(column: npt.NDArray[Any], dtype: type[np.integer]) -> npt.NDArray[Any]:
    """The column in a narrower type if that holds it: millions of rows are many bytes."""
    fits = not len(column) or int(column.max()) <= np.iinfo(dtype).max
    return column.astype(dtype) if fits else column


def _read_shard(row: Mapping[str, Any], place: Callable[[str], Path | str]) -> Shard:
    """One row of an index file. Raises ValueError if its columns do not fit together."""
    columns = {name: np.array(row[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    crc32 = None if row["crc32"] is None else np.array(row["crc32"], dtype=np.uint32)
    keys = Keys(row["keys"])
    name, num_bytes = row["name"], int(row["bytes"])
    if name.startswith("/") or ".." in name.split("/") or not name.isprintable():
        raise ValueError(f"{name!r} is no name of a file beside it")
    lengths = {len(keys), *map(len, columns.values())} | (set() if crc32 is None else {len(crc32)})
    if lengths != {row["samples"]}:
        raise ValueError(f"columns of unequal length for {name}")
    offsets, sizes = columns["offsets"], columns["sizes"]
    if keys and (min(offsets.min(), sizes.min()) < 0 or (offsets + sizes).max() > num_bytes):
        raise ValueError(f"an image outside of {name}")
    return Shard(
        path=place(name),
        keys=keys,
        labels=_narrow(columns["labels"], np.int16),
        offsets=_narrow(offsets, np.uint32),
        sizes=sizes,
        num_bytes=num_bytes,
        sha256=str(row["sha256"]),
        crc32=crc32,
        unread=str(row.get("unread", "")),
    )
