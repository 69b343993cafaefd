"""What batches cost beside decoding alone: `python experiments/speed/loader.py` (on Linux).

plain: core-seconds an image that libjpeg-turbo takes, as `torchvision.io.decode_jpeg` in a loop in
one process, with the bytes at hand and nothing else done. ours: core-seconds an image of training
batches of the same JPEGs, 256×256 pixels, out of shards on the local disk through the data module's
`train_dataloader`: of its loader processes and of the process that takes the batches, together.

Both are measured in turn, in rounds. It is processor time, not the clock's: other work on the
machine changes it less, and who waits isn't counted. The last line printed is a JSON object with
the medians. The shards are made of the embedded sample, in a temporary folder.
"""

import argparse
import ctypes
import io
import itertools
import json
import multiprocessing
import os
import statistics
import tarfile
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.io import ImageReadMode, decode_jpeg

from irodori.color import Lab
from irodori.config import PROJECT, DataConfig
from irodori.data.module import ShardData
from irodori.data.writer import write_shards

SIZE = 256
BATCH = 32
SHARDS = 4
STARTING = 10
"""Batches that aren't timed: processes start, and memory is touched for the first time."""

AHEAD = 4
"""Batches left over when timing ends, so that loader processes still work ahead, as when it began.
"""


def photographs() -> Iterator[bytes]:
    """JPEGs of the sample's photographs, scaled to SIZE×SIZE pixels."""
    for path in sorted((PROJECT / "data" / "sample").glob("*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                file = shard.extractfile(member)
                if member.name.endswith(".jpg") and file is not None:
                    photo = Image.open(io.BytesIO(file.read())).convert("RGB")
                    small = photo.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
                    buffer = io.BytesIO()
                    small.save(buffer, "JPEG", quality=92)
                    yield buffer.getvalue()


def make_shards(folder: Path, contents: list[bytes], count: int) -> None:
    """Shards of so many samples, in `folder`/shards."""
    pictures = folder / "pictures"
    pictures.mkdir()
    samples = []
    for number, content in zip(range(count), itertools.cycle(contents), strict=False):
        path = pictures / f"{number:06d}.jpg"
        path.write_bytes(content)
        samples.append((path.stem, path, number % 10))
    shards = [samples[start::SHARDS] for start in range(SHARDS)]
    write_shards(shards, folder / "shards", "t", [str(name) for name in range(10)], {})


def make_loader(folder: Path, workers: int) -> DataLoader[Any]:
    """The project's, as training uses it."""
    pattern = f"{folder}/shards/t-*.tar"
    config = DataConfig(
        train=pattern, val=pattern, val_seen=True, batch_size=BATCH, workers=workers, size=SIZE
    )
    return ShardData(config, Lab()).train_dataloader()


def processor_seconds() -> float:
    """Of this process and its living children, all threads included."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(child.pid, ctypes.byref(clock)):
            raise OSError(f"process {child.pid} has no clock")
        total += time.clock_gettime(clock.value)
    return total


def plain(jpegs: list[Tensor]) -> float:
    """Processor seconds an image of decoding alone."""
    start = time.process_time()
    for jpeg in jpegs:
        decode_jpeg(jpeg, ImageReadMode.RGB)
    return (time.process_time() - start) / len(jpegs)


def ours(loader: DataLoader[Any]) -> float:
    """Processor seconds an image of batches in the middle of an epoch."""
    batches = iter(loader)
    for _ in range(STARTING):
        next(batches)
    start, images = processor_seconds(), 0
    for _ in range(len(loader) - STARTING - AHEAD):
        images += len(next(batches)["images"])
    seconds = processor_seconds() - start
    for _ in batches:
        pass
    return seconds / images


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    parser.add_argument("--quick", action="store_true", help="few images, for tests")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # All on one core: the loader process would find its caches cold on another one.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    batches, rounds = (STARTING + AHEAD + 2, 1) if arguments.quick else (24, 2)
    with tempfile.TemporaryDirectory() as name:
        contents = list(photographs())
        make_shards(Path(name), contents, batches * BATCH)
        # Each in memory of its own, as in the shards: else they would stay in the cache.
        turn = itertools.cycle(contents)
        jpegs = [
            torch.frombuffer(bytearray(next(turn)), dtype=torch.uint8)
            for _ in range((batches - STARTING - AHEAD) * BATCH)
        ]
        loader = make_loader(Path(name), arguments.workers)
        plain(jpegs), ours(loader)
        times = [(plain(jpegs), ours(loader)) for _ in range(rounds)]
    for number, (alone, whole) in enumerate(times, start=1):
        print(f"round {number}: {alone * 1e6:.0f} µs an image to decode, {whole * 1e6:.0f} in all")
    alone, whole = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(alone / whole for alone, whole in times)
    print(f"images a core-second over decoding alone: {ratio:.3f}")
    print(
        json.dumps(
            {
                "jpeg_decode": {"images_per_core_second": round(1 / alone, 1)},
                "loader": {"plain": alone, "ours": whole},
            }
        )
    )


if __name__ == "__main__":
    main()
