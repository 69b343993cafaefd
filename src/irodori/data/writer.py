"""Writing shards deterministically and atomically."""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Any

import numpy as np
import webdataset as wds
from webdataset.tariterators import base_plus_ext

from irodori.data.index import NO_CLASS, Keys, Shard, columns_of, write_index
from irodori.data.scan import METADATA
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

Entry = tuple[str, Path, int]
"""A sample to write: key, image file and class id (−1: none)."""


class ShardWriter:
    """Writes samples with webdataset's TarWriter, and records their offsets and checksums.

    Args:
        path: final path of the shard.
        file: new file, open for writing and reading.
    """

    def __init__(self, path: Path, file: BufferedRandom) -> None:
        self.path = path
        self._file = file
        # Owner, mode and time are fixed, so that the bytes depend only on the samples.
        self._tar = wds.TarWriter(
            file, user="", group="", mode=0o444, mtime=0, compress=False, encoder=False
        )
        self._rows: dict[str, tuple[int, int, int, int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, key: str, suffix: str, content: bytes, label: int) -> None:
        """Write an image's bytes as `<key>.<suffix>`, and its class id before it as `<key>.cls`.

        Raises:
            IrodoriError: webdataset would read the key differently, or the key already exists.
        """
        if key in self._rows:
            raise IrodoriError(f"key {key!r} twice in the shard {self.path}: rename one of them")
        name = f"{key}.{suffix}"
        if base_plus_ext(name) != (key, suffix) or METADATA.match(name):
            raise IrodoriError(
                f"the key {key!r} for {self.path} must not be empty or contain a dot in its last "
                "part, or begin with __…__: rename the image"
            )
        # TarWriter sorts a sample's files by suffix: the image comes last.
        assert suffix > "cls"
        label_file = {} if label == NO_CLASS else {"cls": b"%d" % label}
        self._tar.write({"__key__": key, suffix: content, **label_file})
        end = self._tar.tarstream.offset - -len(content) % tarfile.BLOCKSIZE
        self._rows[key] = label, end - len(content), len(content), zlib.crc32(content)

    def end(self) -> None:
        """Write the end of the tar, once."""
        self._tar.close()

    def close(self) -> Shard:
        """Write the end of the tar, and return the shard's index.

        Raises:
            IrodoriError: there are no samples.
        """
        if not self._rows:
            raise IrodoriError(f"no samples for the shard {self.path}: make fewer shards")
        self.end()
        num_bytes = self._file.tell()
        self._file.seek(0)
        rows = list(self._rows.values())
        return Shard(
            self.path,
            Keys(self._rows),
            num_bytes=num_bytes,
            sha256=hashlib.file_digest(self._file, "sha256").hexdigest(),
            crc32=np.array([crc32 for *_, crc32 in rows], np.uint32),
            **columns_of(rows),
        )


@contextmanager
def shard_writer(path: Path) -> Iterator[ShardWriter]:
    """Yield a shard writer; the file appears at `path` once the block has called `close`."""
    path = Path(path).absolute()
    with replacing(path) as file:
        writer = ShardWriter(path, file)
        try:
            yield writer
        finally:
            writer.end()


def write_shards(
    shards: Sequence[Sequence[Entry]],
    folder: Path,
    prefix: str,
    classes: Sequence[str],
    made_by: Mapping[str, Any],
) -> None:
    """Write `<prefix>-<number>.tar` for each list of samples, and finally `index.json`.

    Images are copied byte for byte.
    """
    digits = len(str(len(shards) - 1))
    written = []
    for number, samples in enumerate(shards):
        with shard_writer(Path(folder) / f"{prefix}-{number:0{digits}d}.tar") as writer:
            for key, image, label in samples:
                suffix = image.suffix.removeprefix(".").lower()
                writer.add(key, suffix, image.read_bytes(), label)
            written.append(writer.close())
    write_index(folder, written, classes, made_by)
