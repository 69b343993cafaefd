"""The index of a set of shards: which samples there are, their classes, and where their bytes lie.

With it every worker can read any sample by one seek, and who reads what is decided before a
shard is opened. It comes from `index.json` beside the shards, or from scanning any webdataset
`.tar`.
"""

import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from braceexpand import braceexpand
from webdataset.tariterators import base_plus_ext

from irodori.errors import IrodoriError

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")  # in order of preference within one sample
INDEX_NAME = "index.json"
INDEX_VERSION = 1
NO_CLASS = -1
_COLUMNS = ("labels", "offsets", "sizes")
_BLOCK = tarfile.BLOCKSIZE
_METADATA = re.compile(r"__[^/]*__($|/)")  # the names that webdataset skips
_PLACES = re.compile(r"/\w/(\S+)\s+(\d+)")  # "/a/abbey 0", as in the lists of the Places database

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


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears as `path` when the block ends well, and not at all otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps ranks that write the same file apart.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_url(shard: object) -> bool:
    """Whether a shard is named by an http(s) URL."""
    return str(shard).startswith(("http://", "https://"))


def expand(pattern: str) -> list[Path | str]:
    """The shards that a path, a glob (`*`, `?`) or a brace pattern (`{000..003}`) names.

    Paths are absolute; URLs stay text. What a glob matches is sorted; nothing is named twice.
    Raises IrodoriError if the pattern, or one part of it, matches nothing.
    """
    literal = Path(pattern).expanduser().absolute()
    if literal.is_file():  # even if its name holds braces or a star
        return [literal]
    found: list[Path | str] = []
    for piece in _pieces(pattern):
        if is_url(piece):
            found.append(piece)
            continue
        # Path.glob would match hidden files too, such as those that some systems leave in copies.
        matches = sorted(Path(match) for match in glob.glob(_glob(piece)))  # noqa: PTH207
        if not matches:
            folder = _folder(piece)
            looked = f"looked in {folder}" if folder.is_dir() else f"there is no folder {folder}"
            part = "" if piece == pattern else f" (its part {piece!r})"
            raise IrodoriError(f"no shard matches {pattern!r}{part}: {looked}; correct the pattern")
        for match in matches:
            if match.is_dir():
                raise IrodoriError(f"{match} is a folder: name its shards, as in '{match}/*.tar'")
        found += matches
    return list(dict.fromkeys(found))


def fetch(url: str, cache_dir: Path) -> Path:
    """Download a shard into the cache folder, whole or not at all; once there it is reused.

    Raises IrodoriError if the server cannot be reached, refuses, or sends less than it announced.
    """
    name = re.split("[?#]", url)[0].rsplit("/", 1)[-1]
    path = Path(cache_dir).absolute() / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(url, timeout=60) as response, replacing(path) as file:
            shutil.copyfileobj(response, file, 1 << 20)
            announced = response.headers.get("Content-Length")
            # A connection that breaks off looks like the end of the file to `read`.
            if announced is not None and file.tell() != int(announced):
                raise OSError(f"got {file.tell()} of {announced} bytes")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise IrodoriError(f"cannot download {url}: {_line(error)}; try again") from error
    return path


def scan(path: Path) -> Shard:
    """Make the index of any webdataset `.tar` by reading its headers and `.cls` members.

    Files are grouped into samples by webdataset's own rule. A sample without an image and
    without a class (say, only `.json`) is left out.

    Raises IrodoriError, naming the shard and where known the key: a truncated or damaged tar, a
    `.cls` that is no class id, a `.cls` without an image, a key twice, no images at all.
    """
    path = Path(path).absolute()
    keys: list[str] = []
    columns: dict[str, list[int]] = {name: [] for name in _COLUMNS}
    try:
        for key, label, images in _samples(path):
            suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in images), None)
            if suffix is not None:
                keys.append(key)
                for name, value in zip(_COLUMNS, (label, *images[suffix]), strict=True):
                    columns[name].append(value)
            elif label != NO_CLASS:
                kinds = ", ".join(f".{suffix}" for suffix in IMAGE_SUFFIXES)
                raise IrodoriError(f"{path}: key {key!r} has a .cls but no image ({kinds}): add it")
        num_bytes = path.stat().st_size
    except OSError as error:
        raise IrodoriError(
            f"cannot read the shard {path}: {error.strerror}; correct the path or its permissions"
        ) from error
    if not keys:
        raise IrodoriError(f"{path}: no images in this shard: write it again or leave it out")
    labels, offsets, sizes = (np.array(columns[name], np.int64) for name in _COLUMNS)
    return Shard(path, tuple(keys), labels, offsets, sizes, num_bytes)


def open_index(pattern: str, classes_file: str | None, cache_dir: Path) -> Index:
    """The index of the shards that `pattern` names (see `expand`).

    Shards that the `index.json` of their folder lists are taken from there; others, and those
    behind URLs (downloaded into `cache_dir` first), are scanned. Class names come from
    `classes_file`, else from `index.json`, else they are "0", "1", ….

    Raises IrodoriError for what `expand`, `fetch` and `scan` raise it for, for a shard that is
    missing or has changed since its index was written, and for a label without a class name.
    """
    paths = [fetch(str(x), cache_dir) if is_url(x) else Path(x) for x in expand(pattern)]
    stored = {
        folder: read_index(folder)
        for folder in dict.fromkeys(path.parent for path in paths)
        if (folder / INDEX_NAME).is_file()
    }
    listed = {shard.path: shard for index in stored.values() for shard in index.shards}
    # A shard that was deleted does not match a glob any more: it must not vanish unnoticed.
    named = set(paths)
    for piece in () if Path(pattern).expanduser().is_file() else _pieces(pattern):
        for path in listed:
            if path not in named and path.match(_glob(piece)) and not path.exists():
                _check_whole(listed[path])
    shards = []
    for path in paths:
        if path in listed:
            _check_whole(listed[path])
        shards.append(listed.get(path) or scan(path))
    if classes_file is not None:
        classes = read_classes(Path(classes_file))
    else:
        classes = _stored_classes([stored[p.parent] for p in paths if p in listed])
    if not classes:
        top = max((int(shard.labels.max()) for shard in shards), default=NO_CLASS)
        classes = tuple(map(str, range(top + 1)))
    for shard in shards:
        _check_labels(shard, classes)
    used = [index for index in stored.values() if any(s.path in named for s in index.shards)]
    return Index(tuple(shards), classes, used[0].made_by if len(used) == 1 else {})


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names, one a line in UTF-8; blank lines do not count.

    Lines as in the lists of Places ("/a/abbey 0") give the name alone ("abbey").
    Raises IrodoriError if the file cannot be read, is empty, or holds a name twice.
    """
    path = Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise IrodoriError(f"cannot read the class names {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"the class names {path} are not UTF-8: save them as UTF-8") from error
    names: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if match := _PLACES.fullmatch(name):
            name = match[1]
            if int(match[2]) != len(names):
                raise IrodoriError(
                    f"{path}, line {number}: class {name!r} has id {match[2]} but is number "
                    f"{len(names)} of the file (counted from 0): sort the lines by id"
                )
        if name in names:
            raise IrodoriError(f"{path}, line {number}: class {name!r} stands there twice")
        if name:
            names[name] = None
    if not names:
        raise IrodoriError(f"{path} holds no class names: write one a line")
    return tuple(names)


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
        rows.append(row | {name: getattr(shard, name).tolist() for name in _COLUMNS})
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
            f"the index {path} is damaged ({_line(error)}): delete it, and the shards are scanned"
        ) from error
    raise IrodoriError(
        f"the index {path} has version {version!r}, known is {INDEX_VERSION}: "
        "update irodori, or delete the index, and the shards are scanned"
    )


def _read_shard(folder: Path, row: Mapping[str, Any]) -> Shard:
    """One row of `index.json`. Raises ValueError if its columns do not fit together."""
    labels, offsets, sizes = (np.array(row[name], dtype=np.int64) for name in _COLUMNS)
    keys = tuple(map(str, row["keys"]))
    name, num_bytes = str(row["name"]), int(row["bytes"])
    if {len(keys), len(labels), len(offsets), len(sizes)} != {row["samples"]}:
        raise ValueError(f"columns of unequal length for {name}")
    if keys and (offsets.min() < 0 or (offsets + sizes).max() > num_bytes):
        raise ValueError(f"an image outside of {name}")
    return Shard(folder / name, keys, labels, offsets, sizes, num_bytes, str(row["sha256"]))


def _check_whole(shard: Shard) -> None:
    """Compare the file with its row in the index by its length, which costs nothing."""
    if not shard.path.is_file():
        raise IrodoriError(
            f"{shard.path} is missing, though {INDEX_NAME} beside it lists it: restore the shard"
        )
    num_bytes = shard.path.stat().st_size
    if num_bytes != shard.num_bytes:
        what = "is truncated" if num_bytes < shard.num_bytes else "has changed"
        raise IrodoriError(
            f"{shard.path} {what}: {num_bytes} bytes, {INDEX_NAME} says {shard.num_bytes}; "
            f"restore the shard, or delete {INDEX_NAME} if the change is meant"
        )


def _check_labels(shard: Shard, classes: Sequence[str]) -> None:
    wrong = np.flatnonzero(shard.labels >= len(classes))
    if wrong.size:
        i = int(wrong[0])
        raise IrodoriError(
            f"{shard.path}: key {shard.keys[i]!r} has class id {shard.labels[i]}, but there are "
            f"only {len(classes)} classes: give the list of classes that belongs to the shards"
        )


def _stored_classes(indexes: Sequence[Index]) -> tuple[str, ...]:
    """The class names that all indexes agree on; () if none names any."""
    lists = list(dict.fromkeys(index.classes for index in indexes))
    if len(lists) > 1:
        folders = list(dict.fromkeys(index.shards[0].path.parent for index in indexes))
        raise IrodoriError(
            f"the indexes of {folders[0]} and of other folders name different classes: "
            "give one list of classes for all shards"
        )
    return lists[0] if lists else ()


def _samples(path: Path) -> Iterator[tuple[str, int, dict[str, tuple[int, int]]]]:
    """Each sample of a tar: its key, its label, and (offset, size) of its images by suffix."""
    seen: set[str] = set()
    key: str | None = None
    label = NO_CLASS
    suffixes: set[str] = set()
    images: dict[str, tuple[int, int]] = {}
    for archive, member in _members(path):
        member_key, suffix = base_plus_ext(member.name)
        if member_key is None or suffix is None:
            continue
        if member_key != key:
            if key is not None:
                yield key, label, images
            if member_key in seen:
                raise IrodoriError(
                    f"{path}: key {member_key!r} stands there twice: a sample's files must have "
                    "a key of their own and lie next to each other"
                )
            seen.add(member_key)
            key, label, suffixes, images = member_key, NO_CLASS, set(), {}
        suffix = suffix.lower()
        if suffix in suffixes:
            raise IrodoriError(f"{path}: key {key!r} has two .{suffix} files: remove one")
        suffixes.add(suffix)
        if suffix in IMAGE_SUFFIXES:
            images[suffix] = (member.offset_data, member.size)
        elif suffix == "cls":
            file = archive.extractfile(member)
            text = file.read(64).strip() if file is not None else b""
            if not re.fullmatch(rb"[0-9]{1,18}", text):
                raise IrodoriError(
                    f"{path}: key {key!r} has the class {text.decode(errors='replace')!r}: "
                    "a .cls holds a whole number from 0"
                )
            label = int(text)
    if key is not None:
        yield key, label, images


def _members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The files of a tar; raises IrodoriError if it is damaged or does not reach to its end.

    `tarfile` alone takes a damaged header or a missing end for the end of the archive, and
    reads past the end of the file without a word.
    """
    num_bytes = path.stat().st_size
    last = "before its first file"
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                last = f"after {member.name!r}"
                if member.offset_data + member.size > num_bytes:
                    key = base_plus_ext(member.name)[0] or member.name
                    raise IrodoriError(
                        f"{path} is truncated in key {key!r}: copy or write the shard again"
                    )
                if member.isreg() and not _METADATA.match(member.name):
                    yield archive, member
            end = archive.offset
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise IrodoriError(
            f"{path} is no whole tar: {_line(error)} {last}; copy or write the shard again"
        ) from error
    with path.open("rb") as file:
        file.seek(end)
        block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        raise IrodoriError(f"{path} is truncated {last}: copy or write the shard again")
    if any(block):
        raise IrodoriError(
            f"{path} is damaged at byte {end}, {last}: copy or write the shard again"
        )


def _pieces(pattern: str) -> list[str]:
    try:
        return list(braceexpand(pattern, escape=False))
    except ValueError as error:
        raise IrodoriError(
            f"unbalanced braces in the shard pattern {pattern!r}: write them as in {{000..003}}"
        ) from error


def _glob(piece: str) -> str:
    """The piece as an absolute glob in which only `*` and `?` are special."""
    return str(Path(piece).expanduser().absolute()).replace("[", "[[]")


def _folder(piece: str) -> Path:
    """The folder in which a piece is looked for: all before its first wildcard."""
    path = Path(piece).expanduser().absolute()
    while path != path.parent:
        path = path.parent
        if not re.search(r"[*?]", str(path)):
            break
    return path


def _line(error: Exception) -> str:
    """What an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
