"""Making the index of any webdataset `.tar` from its headers."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from irodori.data.index import COLUMNS, NO_CLASS, Shard
from irodori.data.keys import Keys
from irodori.data.members import IMAGE_SUFFIXES, METADATA, key_and_suffix
from irodori.errors import IrodoriError, one_line


def scan(path: Path) -> Shard:
    """Make the index of a local webdataset `.tar`: see `scan_file`.

    Raises IrodoriError as that does, and if the file can't be read.
    """
    path = Path(path).absolute()
    try:
        with path.open("rb") as file:
            return scan_file(path, file, path.stat().st_size)
    except OSError as error:
        raise IrodoriError(
            f"cannot read the shard {path}: {error.strerror}; correct the path or its permissions"
        ) from error


def scan_file(path: Path | str, file: BinaryIO, num_bytes: int) -> Shard:
    """Make the index of any webdataset `.tar` by reading its headers and `.cls` members.

    Files are grouped into samples by webdataset's own rule. A sample without an image and
    without a class (say, only `.json`) is left out.

    Args:
        path: the shard's path or URL.
        file: its content, seekable.
        num_bytes: its length.

    Raises:
        IrodoriError: names the shard and where known the key: a truncated or damaged tar, a `.cls`
            that is no class id, a `.cls` without an image, a key twice, no images at all.
        OSError: the file can't be read.
    """
    keys: list[str] = []
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
    for key, label, images in _samples(path, file, num_bytes):
        suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in images), None)
        if suffix is not None:
            keys.append(key)
            for name, value in zip(COLUMNS, (label, *images[suffix]), strict=True):
                columns[name].append(value)
        elif label != NO_CLASS:
            kinds = ", ".join(f".{suffix}" for suffix in IMAGE_SUFFIXES)
            raise IrodoriError(f"{path}: key {key!r} has a .cls but no image ({kinds}): add it")
    if not keys:
        raise IrodoriError(f"{path}: no images in this shard: write it again or leave it out")
    labels, offsets, sizes = (np.array(columns[name], dtype) for name, dtype in COLUMNS.items())
    return Shard(path, Keys(keys), labels, offsets, sizes, num_bytes)


def _samples(
    path: Path | str, file: BinaryIO, num_bytes: int
) -> Iterator[tuple[str, int, dict[str, tuple[int, int]]]]:
    """Each sample of a tar: its key, its label, and (offset, size) of its images by suffix."""
    seen: set[str] = set()
    key: str | None = None
    label = NO_CLASS
    suffixes: set[str] = set()
    images: dict[str, tuple[int, int]] = {}
    for archive, member in _members(path, file, num_bytes):
        member_key, suffix = key_and_suffix(member.name)
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
            content = archive.extractfile(member)
            text = content.read(64).strip() if content is not None else b""
            if not re.fullmatch(rb"[0-9]{1,9}", text):
                raise IrodoriError(
                    f"{path}: key {key!r} has the class {text.decode(errors='replace')!r}: "
                    "a .cls holds a whole number from 0"
                )
            label = int(text)
    if key is not None:
        yield key, label, images


def _members(
    path: Path | str, file: BinaryIO, num_bytes: int
) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The files of a tar; raises IrodoriError if it is damaged or does not reach to its end.

    `tarfile` alone takes a damaged header or a missing end for the end of the archive, and
    reads past the end of the file without a word.
    """
    last = "before its first file"
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                last = f"after {member.name!r}"
                if member.offset_data + member.size > num_bytes:
                    key = key_and_suffix(member.name)[0] or member.name
                    raise IrodoriError(
                        f"{path} is truncated in key {key!r}: copy or write the shard again"
                    )
                if member.isreg() and not METADATA.match(member.name):
                    yield archive, member
            end = archive.offset
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise IrodoriError(
            f"{path} is no whole tar: {one_line(error)} {last}; copy or write the shard again"
        ) from error
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise IrodoriError(f"{path} is truncated {last}: copy or write the shard again")
    if any(block):
        raise IrodoriError(
            f"{path} is damaged at byte {end}, {last}: copy or write the shard again"
        )
