"""What reading costs beside decoding alone: `python experiments/speed/loader.py` (on Linux).

plain: decoding and scaling the sample's JPEGs to 256×256 pixels, by torchvision in a loop in one
process, with the bytes at hand and nothing else done. ours: the same JPEGs in training batches of
`ShardData`, out of its shards: by its loader processes and the process that takes the batches,
together.

The sides take turns, each round an epoch. What counts is processor time, not the clock's: other
work on the machine changes it less. The last line printed is a JSON object with the medians.
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2.functional import resize

from irodori.color import Lab
from irodori.data.augment import Augmentation
from irodori.data.config import DataConfig
from irodori.data.module import ShardData

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
SIZE, BATCH = 256, 32
ROUNDS = 7
COPIES = 4
"""So many of each shard, so that the start of an epoch counts as little as in a real one."""


def processor_seconds() -> float:
    """Return the processor time of this process and its living children, all threads included."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(child.pid, ctypes.byref(clock)):
            raise OSError(f"process {child.pid} has no clock")
        total += time.clock_gettime(clock.value)
    return total


def plain(jpegs: list[Tensor]) -> float:
    """Return processor seconds an image of decoding and scaling alone."""
    start = time.process_time()
    for jpeg in jpegs:
        resize(decode_jpeg(jpeg, ImageReadMode.RGB), [SIZE, SIZE], antialias=True)  # type: ignore[arg-type]
    return (time.process_time() - start) / len(jpegs)


def ours(loader: Any, epoch: int) -> float:
    """Return processor seconds an image of an epoch's batches."""
    loader.sampler.set_epoch(epoch)
    start = processor_seconds()
    images = sum(len(batch["images"]) for batch in loader)
    return (processor_seconds() - start) / images


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    parser.add_argument("--quick", action="store_true", help="one round, for tests")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # All on one core: a loader process would find its caches cold on another one.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), arguments.workers, 1 if arguments.quick else ROUNDS)


def measure(folder: Path, workers: int, rounds: int) -> None:
    """Measure both sides on copies of the sample's shards in a folder, and print."""
    for path in sorted(SAMPLE.glob("sample-*.tar")):
        for copy in range(COPIES):
            shutil.copyfile(path, folder / f"{path.stem}-{copy}.tar")
    shards = str(folder / "*.tar")
    config = DataConfig(
        train=shards, val=shards, val_seen=True, batch_size=BATCH, size=SIZE, workers=workers,
        cache=str(folder),
    )  # fmt: skip
    data = ShardData(config, Lab(), Augmentation())
    loader = data.train_dataloader()
    samples = data.train_samples
    jpegs = [
        torch.frombuffer(bytearray(samples[i]["jpg"]), dtype=torch.uint8)
        for i in range(0, len(samples), COPIES)
    ]
    plain(jpegs), ours(loader, 0)  # processes start, memory is touched for the first time
    times = [(plain(jpegs), ours(loader, number)) for number in range(1, rounds + 1)]
    for number, (alone, whole) in enumerate(times, start=1):
        print(f"round {number}: {alone * 1e6:.0f} µs an image to decode, {whole * 1e6:.0f} in all")
    alone, whole = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(whole / alone for alone, whole in times)
    print(f"{1 / alone:.0f} images a core-second decoded, {1 / whole:.0f} read: {ratio:.3f} ×")
    print(
        json.dumps(
            {
                "jpeg_decode": {"images_per_core_second": round(1 / alone, 1)},
                "loader": {"plain": alone, "ours": whole, "ratio": ratio},
            }
        )
    )


if __name__ == "__main__":
    main()
