"""Indexing any webdataset `.tar` by its headers."""

import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from webdataset.tariterators import base_plus_ext, group_by_keys

from irodori.data.index import NO_CLASS, Keys, Shard, columns_of
from irodori.imageio.kinds import IN_SHARDS, RAW, SUFFIXES
from irodori.utils.errors import IrodoriError, one_line

IMAGE_SUFFIXES = tuple(suffix for kind in IN_SHARDS for suffix in SUFFIXES[kind])
"""Suffixes of images that are read, in order of preference within one sample."""
UNREADABLE_SUFFIXES = {suffix for names in SUFFIXES.values() for suffix in names} | RAW | {"psd"}
UNREADABLE_SUFFIXES -= {*IMAGE_SUFFIXES}
"""Suffixes of images that are not read."""
METADATA = re.compile(r"__[^/]*__($|/)")
"""Prefixes of names that webdataset's `tar_file_iterator` skips by default."""
_UNPACK = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}


def scan(path: Path) -> Shard:
    """Index a local webdataset `.tar`; see `scan_file`.

    Raises:
        IrodoriError: see `scan_file`; also if the file can't be read.
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
    """Index any webdataset `.tar` by reading its headers and `.cls` members.

    webdataset groups the files into samples. A sample's image is the file with a known suffix.
    Since webdataset's suffixes begin at a name's first dot, `a.v2.jpg` of the key `a` is also
    accepted if it is the only image. Samples with neither image nor class (such as only `.json`)
    are skipped; files that look like images but can't be read are noted in `Shard.unread`.

    Args:
        path: path or URL of the shard.
        file: seekable file object of the shard.
        num_bytes: size of the shard.

    Raises:
        IrodoriError: the tar is compressed, truncated or damaged, a `.cls` isn't a class id or has
            no image, a key appears twice, or there are no images. The message names the shard and,
            if known, the key.
        OSError: the file can't be read.
    """
    _refuse_compressed(path, file)
    rows: dict[str, tuple[int, int, int]] = {}
    seen: set[str] = set()
    unread: list[tuple[str, str]] = []
    try:
        for sample in group_by_keys(_members(path, file, num_bytes)):
            key = sample["__key__"]
            if key in seen:
                raise IrodoriError(
                    f"{path}: key {key!r} appears twice: a sample's files must have "
                    "a unique key and be adjacent"
                )
            seen.add(key)
            suffix, others = _image_of(sample)
            if suffix is not None:
                image = sample[suffix]
                rows[key] = _label(path, file, sample, suffix), image.offset_data, image.size
            elif "cls" in sample and not others:
                raise IrodoriError(
                    f"{path}: key {key!r} has a .cls but no image (.{', .'.join(IMAGE_SUFFIXES)}):"
                    " add it"
                )
            unread += others
    except ValueError as error:  # group_by_keys found a suffix twice
        name = str(error.args[0]).partition(":")[0]
        raise IrodoriError(f"{path}: {name} appears twice: remove one") from error
    line = _unread_line(len(rows), unread)
    if not rows:
        what = f": {line}" if line else ""
        raise IrodoriError(f"{path}: no images in this shard{what}; write it again or leave it out")
    return Shard(path, Keys(rows), num_bytes=num_bytes, unread=line, **columns_of(rows.values()))


def _image_of(sample: dict[str, Any]) -> tuple[str | None, list[tuple[str, str]]]:
    """Return the suffix of a sample's image, or None with the files that look like images."""
    for suffix in IMAGE_SUFFIXES:
        if suffix in sample:
            return suffix, []
    ends = {suffix: suffix.rpartition(".")[2] for suffix in sample}
    dotted = [suffix for suffix, end in ends.items() if end in IMAGE_SUFFIXES]
    if len(dotted) == 1:
        return dotted[0], []
    several = [(f"several .{ends[suffix]} of a key", sample[suffix].name) for suffix in dotted]
    unreadable = [
        (f".{end}", sample[suffix].name)
        for suffix, end in ends.items()
        if end in UNREADABLE_SUFFIXES
    ]
    return None, several + unreadable


def _label(path: Path | str, file: BinaryIO, sample: dict[str, Any], image: str) -> int:
    """Return the class id beside an image: in `.cls`, or in `.v2.cls` for `.v2.jpg`."""
    dotted = f"{image.rpartition('.')[0]}.cls".removeprefix(".")
    member = sample.get("cls") or sample.get(dotted)
    if member is None:
        return NO_CLASS
    file.seek(member.offset_data)
    text = file.read(min(member.size, 64)).strip()
    if not re.fullmatch(rb"[0-9]{1,9}", text):
        raise IrodoriError(
            f"{path}: key {sample['__key__']!r} has the class {text.decode(errors='replace')!r}: "
            "a .cls must contain an integer ≥ 0"
        )
    return int(text)


def _unread_line(images: int, unread: list[tuple[str, str]]) -> str:
    """Return a message about files that look like images but can't be read; "" if none."""
    if not unread:
        return ""
    kinds = ", ".join(f"{kind} ({n})" for kind, n in Counter(kind for kind, _ in unread).items())
    total = images + len(unread)
    first = unread[0][1]
    return f"{len(unread)} of {total} image files can't be read: {kinds}; the first is {first}"


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
    """Yield the files of a tar for `group_by_keys`; raise IrodoriError if it is incomplete.

    `tarfile` treats a damaged header or a missing end as the end of the archive, and silently reads
    past the end of the file.
    """
    last = "before its first file"
    repair = "copy or write the shard again"
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                last = f"after {member.name!r}"
                if member.offset_data + member.size > num_bytes:
                    key = base_plus_ext(member.name)[0] or member.name
                    raise IrodoriError(f"{path} is truncated in key {key!r}: {repair}")
                if member.isreg() and not METADATA.match(member.name):
                    yield {"fname": member.name, "data": member, "__url__": str(path)}
            end = archive.offset
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise IrodoriError(
            f"{path} is not a complete tar: {one_line(error)} {last}; {repair}"
        ) from error
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise IrodoriError(f"{path} is truncated {last}: {repair}")
    if any(block):
        raise IrodoriError(f"{path} is damaged at byte {end}, {last}: {repair}")
