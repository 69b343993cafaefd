"""What `gpu.py` is given: device, photographs, time; and what it needs."""

import io
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement
from PIL import Image

from irodori.config import PROJECT
from irodori.data.config import DataConfig
from irodori.data.opening import ShardOpener
from irodori.data.writer import shard_writer

Row = dict[str, Any]
"""A line of the results: names of columns, and values."""
PACKED = PROJECT / "runs" / "gpu_photographs"
MAX_BYTES, VAL_BYTES, QUALITY = 40_000_000, 6_000_000, 60
"""What `--pack` writes at most, and of it for validation; quality of its JPEGs."""
SAMPLE = PROJECT / "data" / "sample"
TEST_TOOLS = ("pytest", "pytest-xdist", "hypothesis")


@dataclass(frozen=True)
class Settings:
    """What all parts are given.

    Attributes:
        device: "cuda" or "cpu".
        quick: as little as shows that everything runs.
        folder: for files that are not kept.
        train, val: shards; `source`: what they are.
        images: training photographs.
        results: lines of the parts before.
        deadline: when this part ends, by `time.monotonic`.
    """

    device: str
    quick: bool
    folder: Path
    train: str
    val: str
    source: str
    images: int
    results: Sequence[Row] = field(default_factory=list)
    deadline: float = 0.0

    @property
    def device_name(self) -> str:
        """The name of the device."""
        return torch.cuda.get_device_name() if self.device == "cuda" else "CPU"

    def seconds_left(self) -> float:
        """Return the time until this part is ended."""
        return self.deadline - time.monotonic()


def make_settings(device: str, quick: bool, folder: Path) -> Settings:
    """Return settings with the best photographs at hand.

    These are what `--pack` has written, else all that PHOTOGRAPHS names, else the sample: folds 1
    to 4 to train, 0 to validate, each fold as often as it takes for two thousand.
    """
    named = os.environ.get("PHOTOGRAPHS")
    if quick or not (PACKED.is_dir() or named):
        copies = 1 if quick else 12
        for fold in range(1, 5):
            for copy in range(copies):
                target = folder / f"train-{fold}-{copy}.tar"
                shutil.copyfile(SAMPLE / f"sample-{fold}.tar", target)
        train, val = str(folder / "train-*.tar"), str(SAMPLE / "sample-0.tar")
        source = f"the embedded sample, {copies} times"
    else:
        place = PACKED if PACKED.is_dir() else Path(str(named))
        train, val = f"{place}/train-*.tar", f"{place}/val-*.tar"
        source = "a part of PHOTOGRAPHS, compressed more" if place is PACKED else "PHOTOGRAPHS"
    settings = Settings(device, quick, folder, train, val, source, images=0)
    index = ShardOpener.of(data_config(settings)).open(train)
    return replace(settings, images=len(index))


def data_config(settings: Settings, **more: Any) -> DataConfig:
    """Return the data's configuration."""
    return DataConfig(
        train=settings.train, val=settings.val, cache=str(settings.folder), val_seen=True, **more
    )


def shard_overrides(settings: Settings) -> list[str]:
    """Return the overrides of `train.py` that name the photographs."""
    workers = 0 if settings.quick else min(16, len(os.sched_getaffinity(0)))
    return [
        "data=shards",
        f'data.train="{settings.train}"',
        f'data.val="{settings.val}"',
        f"data.cache={settings.folder}",
        "data.val_seen=true",
        f"data.batch_size={4 if settings.quick else 32}",
        f"data.workers={workers}",
    ]


def pack() -> None:
    """Write a part of the shards that PHOTOGRAPHS names to `PACKED`, compressed more."""
    source = os.environ["PHOTOGRAPHS"]
    for part, limit in (("val", VAL_BYTES), ("train", MAX_BYTES - VAL_BYTES)):
        config = DataConfig(train=f"{source}/train-*.tar", val=f"{source}/val-*.tar")
        opener = ShardOpener.of(config)
        samples = opener.samples(opener.open(f"{source}/{part}-*.tar"))
        keys = [key for shard in samples.index.shards for key in shard.keys]
        labels = [int(label) for shard in samples.index.shards for label in shard.labels]
        PACKED.mkdir(parents=True, exist_ok=True)
        with shard_writer(PACKED / f"{part}-0.tar") as writer:
            size = written = 0
            for position, (key, label) in enumerate(zip(keys, labels, strict=True)):
                file = io.BytesIO()
                pixels_HW3 = samples.image(position).permute(1, 2, 0).numpy()
                Image.fromarray(pixels_HW3).save(file, "jpeg", quality=QUALITY, optimize=True)
                # A tar has two headers and the label a sample, in blocks of 512 bytes.
                size += -(-len(file.getvalue()) // 512) * 512 + 3 * 512
                if size > limit - 20_000:
                    break
                writer.add(key, "jpg", file.getvalue(), label)
                written += 1
            writer.close()
        path = PACKED / f"{part}-0.tar"
        print(f"{path}: {written} photographs, {path.stat().st_size / 1e6:.1f} MB")


def needs() -> Iterator[str]:
    """Yield what has to be at hand, line by line."""
    yield "a CUDA device that torch supports with 40 GB of memory, 16 cores, 4 GB of disk"
    yield "wheels (in this environment):"
    for line in requires("irodori") or []:
        wanted = Requirement(line)
        by_itself = wanted.marker is None or wanted.marker.evaluate({"extra": "lite0"})
        if by_itself or wanted.name in TEST_TOOLS:
            try:
                found = version(wanted.name)
            except PackageNotFoundError:
                found = "missing"
            yield f"  {wanted.name}{wanted.specifier} ({found})"
    yield (
        f"photographs, the first of these that is there: {PACKED.relative_to(PROJECT)} (written by"
        f" `python experiments/speed/gpu.py --pack` from the shards that PHOTOGRAPHS names, at most"
        f" {MAX_BYTES // 10**6} MB); the shards that PHOTOGRAPHS names; the sample, repeated"
    )
