"""Writing shards: the same samples give the same bytes, and a shard appears only when whole."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from webdataset.tariterators import base_plus_ext
from webdataset.writer import TarWriter

from irodori.data.files import replacing
from irodori.data.index import NO_CLASS, Index, Shard, write_index
from irodori.data.scan import IMAGE_SUFFIXES, scan
from irodori.errors import IrodoriError

Sample = tuple[str, Path, int]  # key, image file, class id (−1: none)


def write_shard(path: Path, samples: Sequence[Sample]) -> Shard:
    """Write one shard: images byte for byte as `.jpg` (or what they are), class ids as `.cls`.

    Raises IrodoriError for a key that webdataset would read differently or that stands there
    twice, for an image that cannot be read or is of an unknown kind, and for no samples at all.
    """
    path = Path(path).absolute()
    if not samples:
        raise IrodoriError(f"no samples for the shard {path}: make fewer shards")
    seen: set[str] = set()
    with replacing(path) as file:
        # Owner, mode and times are fixed, so that the bytes depend on the samples alone.
        with TarWriter(
            file,
            user="",
            group="",
            mode=0o444,
            mtime=0,
            compress=False,
            encoder=False,
            format="PAX_FORMAT",  # as plain as USTAR, but takes keys of any length
        ) as tar:
            for key, image, label in samples:
                if key in seen:
                    raise IrodoriError(f"key {key!r} twice in the shard {path}: rename {image}")
                seen.add(key)
                tar.write(_record(key, image, label))
        file.flush()
        shard = scan(Path(file.name))
        with Path(file.name).open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    return dataclasses.replace(shard, path=path, sha256=digest)


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


def _record(key: str, image: Path, label: int) -> dict[str, str | bytes]:
    """A sample as `TarWriter` takes it."""
    suffix = image.suffix.removeprefix(".").lower()
    if suffix not in IMAGE_SUFFIXES:
        kinds = ", ".join(f".{kind}" for kind in IMAGE_SUFFIXES)
        raise IrodoriError(f"{image} is of an unknown kind: convert it to one of {kinds}")
    if base_plus_ext(f"{key}.{suffix}") != (key, suffix):
        raise IrodoriError(f"{image}: its key {key!r} must not be empty or hold a dot: rename it")
    try:
        record: dict[str, str | bytes] = {"__key__": key, suffix: image.read_bytes()}
    except OSError as error:
        raise IrodoriError(f"cannot read the image {image}: {error.strerror}") from error
    if label != NO_CLASS:
        record["cls"] = str(label).encode("ascii")
    return record
