"""Tiny tars for servers."""

import dataclasses
import io
import tarfile

import numpy as np
from PIL import Image

from irodori.data.index import Keys, Shard, checksums, columns_of, write_index
from irodori.data.scan import scan


def photo(number, size=(9, 7)):
    buffer = io.BytesIO()
    Image.new("RGB", size, ((number * 37) % 256, (number * 91) % 256, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def tar(numbers, padding=0):
    """The bytes of a shard of photographs k<number> with class number % 3."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in numbers:
            # Noise after a PNG's end does no harm.
            noise = np.random.default_rng(number).bytes(padding)
            for suffix, content in (("cls", b"%d" % (number % 3)), ("png", photo(number) + noise)):
                member = tarfile.TarInfo(f"k{number}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def shards(count=3, each=4, padding=0):
    """t-0.tar, t-1.tar, … with `each` photographs, numbered on."""
    return {f"t-{n}.tar": tar(range(n * each, (n + 1) * each), padding) for n in range(count)}


def indexed(path):
    """A shard with its checksums."""
    shard = scan(path)
    sha256, crc32 = checksums(shard)
    return dataclasses.replace(shard, sha256=sha256, crc32=crc32)


def whole(url, num_bytes, **known):
    """A file as a shard of which no samples are known."""
    return Shard(url, Keys(), num_bytes=num_bytes, **columns_of([]), **known)


def index_json(folder, files):
    """The index.json of shards, as bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    shards = [indexed(folder / name) for name in files]
    write_index(folder, shards, ["a", "b", "c"], {"by": "test"})
    return (folder / "index.json").read_bytes()
