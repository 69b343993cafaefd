"""Writing shards: the same samples give the same bytes, and a shard appears only when whole."""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from irodori.data.files import replacing
from irodori.data.index import NO_CLASS, Index, Shard, write_index
from irodori.data.keys import Keys
from irodori.data.members import IMAGE_SUFFIXES, METADATA, key_and_suffix
from irodori.errors import IrodoriError

Sample = tuple[str, Path, int]  # key, image file, class id (−1: none)


class ShardWriter:
    """Puts samples into a tar as webdataset reads it, and knows their places and checksums."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._digest = hashlib.sha256()
        self._end = 0
        self._rows: list[tuple[int, int, int, int]] = []
        self._keys: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, suffix: str, content: bytes, label: int) -> None:
        """Write an image's bytes as `<key>.<suffix>`, and its class id before it as `<key>.cls`.

        Raises IrodoriError for a key that webdataset would read differently, or a second time.
        """
        if key in self._keys:
            raise IrodoriError(f"key {key!r} twice in the shard {self.path}: rename one of them")
        name = f"{key}.{suffix}"
        if key_and_suffix(name) != (key, suffix) or METADATA.match(name):
            raise IrodoriError(
                f"the key {key!r} for {self.path} must not be empty or hold a dot in its last "
                "part, or begin with __…__: rename the image"
            )
        self._keys[key] = None
        if label != NO_CLASS:
            self._member(f"{key}.cls", str(label).encode("ascii"))
        offset = self._member(name, content)
        self._rows.append((label, offset, len(content), zlib.crc32(content)))

    def close(self) -> Shard:
        """Write the tar's end. Raises IrodoriError if there are no samples."""
        if not self._keys:
            raise IrodoriError(f"no samples for the shard {self.path}: make fewer shards")
        rest = self._end + 2 * tarfile.BLOCKSIZE
        self._write(bytes(2 * tarfile.BLOCKSIZE + -rest % tarfile.RECORDSIZE))
        labels, offsets, sizes, crc32 = zip(*self._rows, strict=True)
        return Shard(
            path=self.path,
            keys=Keys(self._keys),
            labels=np.array(labels, np.int32),
            offsets=np.array(offsets, np.int64),
            sizes=np.array(sizes, np.int32),
            num_bytes=self._end,
            sha256=self._digest.hexdigest(),
            crc32=np.array(crc32, np.uint32),
        )

    def _member(self, name: str, content: bytes) -> int:
        """Write one file; returns where its bytes begin."""
        header = tar_header(name, len(content))
        self._write(header + content + bytes(-len(content) % tarfile.BLOCKSIZE))
        return self._end - len(content) - -len(content) % tarfile.BLOCKSIZE

    def _write(self, block: bytes) -> None:
        self._file.write(block)
        self._digest.update(block)
        self._end += len(block)


def _tarfile_header(name: str, size: int) -> bytes:
    """Owner, mode and time are fixed, so that the bytes depend on the samples alone."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o444
    # As plain as USTAR, but takes keys of any length.
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


_EMPTY_HEADER = _tarfile_header("", 0)
_EMPTY_SUM = 256 + sum(_EMPTY_HEADER[:148]) + sum(_EMPTY_HEADER[156:])


def tar_header(name: str, size: int) -> bytes:
    """What `tarfile` writes before a file's bytes, an eighth of its time for plain names.

    A sample takes two headers, and when images are only copied they would be half of the work.
    """
    if not name.isascii() or len(name) > tarfile.LENGTH_NAME or name.endswith("/"):
        return _tarfile_header(name, size)
    encoded, digits = name.encode("ascii"), b"%011o" % size
    total = _EMPTY_SUM + sum(encoded) + sum(digits) - 11 * ord("0")
    return b"".join(
        (
            encoded.ljust(100, b"\0"),
            _EMPTY_HEADER[100:124],
            digits,
            _EMPTY_HEADER[135:148],
            b"%06o\0 " % total,
            _EMPTY_HEADER[156:],
        )
    )


@contextmanager
def shard_writer(path: Path) -> Iterator[ShardWriter]:
    """A shard that appears as `path` when the block ends well and has called `close`."""
    path = Path(path).absolute()
    with replacing(path) as file:
        yield ShardWriter(path, file)


def write_shard(path: Path, samples: Sequence[Sample]) -> Shard:
    """Write one shard: images byte for byte as `.jpg` (or what they are), class ids as `.cls`.

    Raises IrodoriError for a key that webdataset would read differently or that stands there
    twice, for an image that cannot be read or is of an unknown kind, and for no samples at all.
    """
    with shard_writer(path) as writer:
        for key, image, label in samples:
            suffix = image.suffix.removeprefix(".").lower()
            if suffix not in IMAGE_SUFFIXES:
                kinds = ", ".join(f".{kind}" for kind in IMAGE_SUFFIXES)
                raise IrodoriError(f"{image} is of an unknown kind: convert it to one of {kinds}")
            try:
                content = image.read_bytes()
            except OSError as error:
                raise IrodoriError(f"cannot read the image {image}: {error.strerror}") from error
            writer.add(key, suffix, content, label)
        return writer.close()


def write_shards(
    shards: Sequence[Sequence[Sample]],
    folder: Path,
    prefix: str,
    classes: Sequence[str],
    made_by: Mapping[str, Any],
) -> Index:
    """Write `<prefix>-<number>.tar` for each list of samples, and at the end `index.json`.

    Raises IrodoriError as `write_shard` does.
    """
    folder = Path(folder).absolute()
    digits = len(str(len(shards) - 1))
    written = [
        write_shard(folder / f"{prefix}-{number:0{digits}d}.tar", samples)
        for number, samples in enumerate(shards)
    ]
    write_index(folder, written, classes, made_by)
    return Index(tuple(written), tuple(classes), made_by)
