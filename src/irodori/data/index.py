"""The index of a set of shards: keys, classes and byte positions of all samples.

With it, a worker can read any sample with one seek, and the reading order is known in advance.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from irodori.data.remote.urls import name_of
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

INDEX_NAME = "index.json"
INDEX_VERSION = 2
NO_CLASS = -1
COLUMNS = {"labels": np.int32, "offsets": np.int64, "sizes": np.int32}
"""Numeric columns that every shard has."""

Ints = npt.NDArray[np.int64]


class Keys:
    """The keys of a shard in one array: Python strings would take 50 more bytes each, and reading
    one in a loader process would copy its memory page."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        encoded = [key.encode("utf-8", "surrogateescape") for key in keys]
        self._encoded = np.array(encoded, np.bytes_)

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, i: int) -> str:
        return self._encoded[i].decode("utf-8", "surrogateescape")  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, eq=False)
class Shard:
    """A `.tar` file and the columns of its n samples, in the order of the tar.

    path: absolute path of the shard, or its URL. labels: n class ids, −1 for none. offsets: n byte
    offsets of the images in the tar. sizes: n sizes of the images in bytes. num_bytes: size of the
    file. sha256: hexadecimal checksum of the file, "" if unknown. crc32: n checksums of the images,
    None if unknown. tag: version identifier (such as an ETag) of a shard behind a URL, "" if
    unknown. unread: message about files that look like images but can't be read; "" if none.
    """

    path: Path | str
    keys: Keys
    labels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
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
        """The file name without its folder."""
        return name_of(self.path) if isinstance(self.path, str) else self.path.name

    def take(self, numbers: Ints) -> "Shard":
        """Return the shard restricted to some samples; file and checksum stay the same."""
        columns = {name: getattr(self, name)[numbers] for name in COLUMNS}
        crc32 = None if self.crc32 is None else self.crc32[numbers]
        return replace(self, keys=Keys(self.keys[i] for i in numbers), crc32=crc32, **columns)


@dataclass(frozen=True, eq=False)
class Index:
    """The shards of a data set, in order, and its class names."""

    shards: tuple[Shard, ...]
    classes: tuple[str, ...]
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def starts(self) -> Ints:
        """The position of each shard's first sample, followed by the number of samples."""
        return np.cumsum([0, *map(len, self.shards)], dtype=np.int64)

    @cached_property
    def labels(self) -> npt.NDArray[np.int32]:
        """The class ids of all samples, −1 for none."""
        return np.concatenate([np.empty(0, np.int32), *(shard.labels for shard in self.shards)])

    def take(self, samples: Iterable[int]) -> "Index":
        """Return an index of only those samples, in this index's order, without empty shards."""
        shards, numbers = self.locate(np.unique(np.fromiter(samples, np.int64)))
        taken = [self.shards[i].take(numbers[shards == i]) for i in np.unique(shards)]
        return replace(self, shards=tuple(taken))

    def locate(self, i: npt.ArrayLike) -> tuple[Ints, Ints]:
        """Return the shard number and the number within the shard for positions of any shape.

        Raises:
            IndexError: a position is outside 0…len−1.
        """
        positions = np.asarray(i, dtype=np.int64)
        if positions.size and (positions.min() < 0 or positions.max() >= len(self)):
            raise IndexError(f"a position outside 0…{len(self) - 1}")
        shard = np.searchsorted(self.starts, positions, side="right").astype(np.int64) - 1
        return shard, positions - self.starts[shard]


def columns_of(rows: Iterable[Sequence[int]]) -> dict[str, Any]:
    """Return the columns of a shard from rows that begin with label, offset and size."""
    table = np.array([row[: len(COLUMNS)] for row in rows], np.int64).reshape(-1, len(COLUMNS))
    return {name: table[:, i].astype(dtype) for i, (name, dtype) in enumerate(COLUMNS.items())}


def write_index(
    folder: Path,
    shards: Iterable[Shard],
    classes: Sequence[str],
    made_by: Mapping[str, Any],
    name: str = INDEX_NAME,
) -> None:
    """Write the index of shards in `folder` atomically, with one line per shard."""
    head = {"version": INDEX_VERSION, "classes": list(classes), "made_by": dict(made_by)}
    with replacing(Path(folder) / name) as file:
        file.write(_json(head)[:-1] + b',"shards":[')
        for number, shard in enumerate(shards):
            file.write((b",\n" if number else b"\n") + _json(_row(shard)))
        file.write(b"\n]}\n")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _row(shard: Shard) -> dict[str, Any]:
    return {
        "name": shard.name,
        "bytes": shard.num_bytes,
        "sha256": shard.sha256,
        "samples": len(shard),
        "keys": list(shard.keys),
        **{column: getattr(shard, column).tolist() for column in COLUMNS},
        "crc32": None if shard.crc32 is None else shard.crc32.tolist(),
        **({"unread": shard.unread} if shard.unread else {}),
    }


def checksums(shard: Shard) -> tuple[str, npt.NDArray[np.uint32]]:
    """Compute the sha256 of a local shard and the crc32 of each of its images."""
    with Path(shard.path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        crc32 = np.empty(len(shard), np.uint32)
        for i, (offset, size) in enumerate(zip(shard.offsets, shard.sizes, strict=True)):
            file.seek(int(offset))
            crc32[i] = zlib.crc32(file.read(int(size)))
    return digest, crc32


def read_index(folder: Path) -> Index:
    """Read a folder's `index.json` without opening the shards.

    Raises:
        IrodoriError: it is missing, damaged, or of an unknown version.
    """
    folder = Path(folder).absolute()
    return read_index_file(folder / INDEX_NAME, lambda name: folder / name)


def read_index_file(
    path: Path, locate: Callable[[str], Path | str], opened: BinaryIO | None = None
) -> Index:
    """Read an index file.

    Args:
        path: path of the file.
        locate: maps a shard's name to its path or URL.
        opened: the file, if it is already open; it is closed.

    Raises:
        IrodoriError: it is missing, damaged, or of an unknown version.
    """

    def compact(stored: dict[str, Any]) -> Any:
        # Called while parsing, so that only one shard's lists are in memory at a time.
        return _read_shard(stored, locate) if "offsets" in stored else stored

    try:
        with path.open("rb") if opened is None else opened as file:
            stored = json.load(io.TextIOWrapper(file, encoding="utf-8"), object_hook=compact)
        version = stored["version"]
        if version == INDEX_VERSION:
            shards = tuple(stored["shards"])
            if not all(isinstance(shard, Shard) for shard in shards):
                raise ValueError("a shard without samples")
            if len({shard.path for shard in shards}) < len(shards):
                raise ValueError("a shard that stands there twice")
            return Index(shards, tuple(map(str, stored["classes"])), dict(stored["made_by"]))
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
            f"the index {path} is damaged ({one_line(error)}): delete it to scan the shards again"
        ) from error
    raise IrodoriError(
        f"the index {path} has version {version!r}, expected {INDEX_VERSION}: "
        "update irodori, or delete the index to scan the shards again"
    )


def _read_shard(row: Mapping[str, Any], locate: Callable[[str], Path | str]) -> Shard:
    """Return the shard of a row. Raises ValueError if its columns don't match."""
    columns = {name: np.array(row[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    crc32 = None if row["crc32"] is None else np.array(row["crc32"], dtype=np.uint32)
    keys = Keys(row["keys"])
    name, num_bytes = row["name"], int(row["bytes"])
    if (
        not isinstance(name, str)
        or name.startswith("/")
        or ".." in name.split("/")
        or not name.isprintable()
    ):
        raise ValueError(f"{name!r} is not a plain file name")
    shapes = {(len(keys),), *(x.shape for x in (*columns.values(), crc32) if x is not None)}
    if shapes != {(row["samples"],)}:
        raise ValueError(f"columns of unequal length for {name}")
    offsets, sizes = columns["offsets"], columns["sizes"]
    if len(keys) and (min(offsets.min(), sizes.min()) < 0 or (offsets + sizes).max() > num_bytes):
        raise ValueError(f"an image outside of {name}")
    return Shard(
        path=locate(name),
        keys=keys,
        num_bytes=num_bytes,
        sha256=str(row["sha256"]),
        crc32=crc32,
        unread=str(row.get("unread", "")),
        **columns,  # type: ignore[arg-type]
    )
