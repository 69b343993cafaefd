"""Making the index of any webdataset `.tar` from its headers."""

import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from webdataset.tariterators import base_plus_ext, group_by_keys

from irodori.data.index import COLUMNS, NO_CLASS, Shard
from irodori.data.keys import Keys
from irodori.data.suffixes import IMAGE_SUFFIXES, METADATA, UNREADABLE_SUFFIXES
from irodori.utils.errors import IrodoriError, one_line

_UNPACK = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}


class Member(NamedTuple):
    """A file in a tar: its name, where its bytes lie, and of a .cls the content."""

    name: str
    offset: int
    size: int
    text: bytes


def scan(path: Path) -> Shard:
    """Make the index of a local webdataset `.tar`: see `scan_file`.

    Raises:
        IrodoriError: as `scan_file` does, and if the file can't be read.
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

    webdataset groups the files into samples. A sample's image is the file whose suffix is a known
    one; webdataset's suffixes begin at a name's first dot, so `a.v2.jpg` of the key `a` is taken,
    too, if it is the only one. A sample without an image and without a class (say, only `.json`)
    is left out; files that look like images and can't be taken are noted in `Shard.unread`.

    Args:
        path: the shard's path or URL.
        file: its content, seekable.
        num_bytes: its length.

    Raises:
        IrodoriError: names the shard and where known the key: a compressed, truncated or damaged
            tar, a `.cls` that is no class id, a `.cls` without an image, a key twice, no images.
        OSError: the file can't be read.
    """
    _refuse_compressed(path, file)

    def twice(error: Exception) -> NoReturn:
        name = str(error.args[0]).partition(":")[0]
        raise IrodoriError(f"{path}: {name} stands there twice: remove one") from error

    seen: set[str] = set()
    keys: list[str] = []
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
    unread: list[tuple[str, Member]] = []
    for sample in group_by_keys(_members(path, file, num_bytes), handler=twice):
        key = sample.pop("__key__")
        sample.pop("__url__")
        if key in seen:
            raise IrodoriError(
                f"{path}: key {key!r} stands there twice: a sample's files must have "
                "a key of their own and lie next to each other"
            )
        seen.add(key)
        suffix, others = _image_of(sample)
        if suffix is not None:
            keys.append(key)
            image = sample[suffix]
            label = _label(path, key, sample, suffix)
            for column, value in zip(COLUMNS, (label, image.offset, image.size), strict=True):
                columns[column].append(value)
            continue
        unread += others
        if not others and "cls" in sample:
            raise IrodoriError(
                f"{path}: key {key!r} has a .cls but no image (.{', .'.join(IMAGE_SUFFIXES)}):"
                " add it"
            )
    line = _unread_line(len(keys), unread)
    if not keys:
        what = f": {line}" if line else ""
        raise IrodoriError(f"{path}: no images in this shard{what}; write it again or leave it out")
    labels, offsets, sizes = (np.array(columns[name], dtype) for name, dtype in COLUMNS.items())
    return Shard(path, Keys(keys), labels, offsets, sizes, num_bytes, unread=line)


def _image_of(sample: dict[str, Member]) -> tuple[str | None, list[tuple[str, Member]]]:
    """Return the suffix of a sample's image; if none, its files that look like one, with why."""
    for suffix in IMAGE_SUFFIXES:
        if suffix in sample:
            return suffix, []
    dotted = [suffix for suffix in sample if suffix.rpartition(".")[2] in IMAGE_SUFFIXES]
    if len(dotted) == 1:
        return dotted[0], []
    several = [(f"several .{name.rpartition('.')[2]} of a key", sample[name]) for name in dotted]
    unreadable = [
        (f".{end}", member)
        for suffix, member in sample.items()
        if (end := suffix.rpartition(".")[2]) in UNREADABLE_SUFFIXES
    ]
    return None, several + unreadable


def _label(path: Path | str, key: str, sample: dict[str, Member], image: str) -> int:
    """Return the class id beside an image: in `.cls`, or in `.v2.cls` for `.v2.jpg`."""
    dotted = f"{image.rpartition('.')[0]}.cls".removeprefix(".")
    member = sample.get("cls") or sample.get(dotted)
    if member is None:
        return NO_CLASS
    if not re.fullmatch(rb"[0-9]{1,9}", member.text):
        raise IrodoriError(
            f"{path}: key {key!r} has the class {member.text.decode(errors='replace')!r}: "
            "a .cls holds a whole number from 0"
        )
    return int(member.text)


def _unread_line(images: int, unread: list[tuple[str, Member]]) -> str:
    """Return how many files that look like images can't be taken; "" if all can."""
    if not unread:
        return ""
    kinds = ", ".join(f"{kind} ({count})" for kind, count in Counter(k for k, _ in unread).items())
    return (
        f"{len(unread)} of {images + len(unread)} image files can't be read: {kinds}, the first is"
        f" {unread[0][1].name}"
    )


def _refuse_compressed(path: Path | str, file: BinaryIO) -> None:
    start = file.read(8)
    file.seek(0)
    for magic, command in _UNPACK.items():
        if start.startswith(magic):
            raise IrodoriError(
                f"{path} is a compressed tar, whose samples can't be read one by one: unpack it"
                f" with `{command}`, and name the .tar"
            )


def _members(path: Path | str, file: BinaryIO, num_bytes: int) -> Iterator[dict[str, Any]]:
    """Yield the files of a tar for `group_by_keys`; raise IrodoriError if it isn't whole.

    `tarfile` alone takes a damaged header or a missing end for the end of the archive, and
    reads past the end of the file without a word.
    """
    last = "before its first file"
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                last = f"after {member.name!r}"
                if member.offset_data + member.size > num_bytes:
                    key = base_plus_ext(member.name)[0] or member.name
                    raise IrodoriError(
                        f"{path} is truncated in key {key!r}: copy or write the shard again"
                    )
                if not member.isreg() or METADATA.match(member.name):
                    continue
                text = b""
                if member.name.lower().endswith(".cls"):
                    content = archive.extractfile(member)
                    text = content.read(64).strip() if content is not None else b""
                data = Member(member.name, member.offset_data, member.size, text)
                yield {"fname": member.name, "data": data, "__url__": str(path)}
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
