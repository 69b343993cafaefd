"""How fast samples are read: `python experiments/streaming/read_rates.py [<photos folder>]`.

raw: images a second that n processes decode from memory, with nothing around it. loader: training
batches of the same JPEGs, 256×256 pixels, through this project's index, plan and n loader
processes, in shuffled order from shards on a local disk. webdataset: batches of the same shards by
webdataset's own tar iteration in n loader processes, in the order of the tars, decoded alike.

Without a folder it takes the embedded sample. The three are measured in turn, in rounds; shares are
medians of the rounds' ratios to raw: of images a second, and of images a second of the processes'
own CPU time, which other work on the machine changes less, and which leaves out the process that
takes the batches (with as many loader processes as cores it shares theirs). Prints the figures and
puts them into read_rates.json beside this file. Nothing else should run meanwhile.
"""

import argparse
import datetime
import io
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.io import ImageReadMode, decode_image
from webdataset.compat import WebDataset

from irodori.config import PROJECT
from irodori.data.batch_memory import BatchMemory
from irodori.data.loader import web_loader
from irodori.data.opening import ShardOpener
from irodori.data.pipeline import PlannedBatches, training_pipeline
from irodori.data.plan import TrainingPlan
from irodori.data.samples import Samples
from irodori.data.writer import write_shards

HERE = Path(__file__).parent
SIZE = 256
SHARDS = 8
BATCH = 32
STARTING = 10
"""Batches that aren't timed: processes start, and memory is touched for the first time."""


def photographs(folder: Path | None) -> Iterator[Image.Image]:
    """RGB photographs of a folder, or of the embedded sample."""
    if folder is not None:
        for path in sorted(folder.rglob("*.jpg")):
            yield Image.open(path).convert("RGB")
        return
    for path in sorted((PROJECT / "data" / "sample").glob("*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                file = shard.extractfile(member)
                if member.name.endswith(".jpg") and file is not None:
                    yield Image.open(io.BytesIO(file.read())).convert("RGB")


def make_shards(folder: Path, photos: Iterable[Image.Image], count: int) -> list[bytes]:
    """Shards of `count` JPEGs of SIZE×SIZE pixels; returns the JPEGs."""
    contents = []
    for photo in photos:
        buffer = io.BytesIO()
        photo.resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=92)
        contents.append(buffer.getvalue())
    pictures = folder / "pictures"
    pictures.mkdir()
    samples = []
    for number in range(count):
        path = pictures / f"{number:06d}.jpg"
        path.write_bytes(contents[number % len(contents)])
        samples.append((path.stem, path, number % 10))
    shards = [samples[start::SHARDS] for start in range(SHARDS)]
    write_shards(shards, folder / "shards", "t", [str(name) for name in range(10)], {})
    # Each in memory of its own, as in the shards: else they would stay in the processor's cache.
    return [bytes(bytearray(contents[number % len(contents)])) for number in range(count)]


def raw_decode(contents: list[bytes]) -> None:
    """Decode all, and keep nothing."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for content in contents:
        buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        decode_image(buffer, ImageReadMode.RGB)


def waiting(contents: list[bytes], ready: Any, go: Any) -> None:
    """A process of `raw`: warms up, then decodes when told."""
    raw_decode(contents[:BATCH])
    ready.release()
    go.wait()
    raw_decode(contents)


def raw(contents: list[bytes], processes: int) -> float:
    """Images a second."""
    context = multiprocessing.get_context("fork")
    ready, go = context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=waiting, args=(contents[start::processes], ready, go))
        for start in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    start = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    return len(contents) / (time.perf_counter() - start)


def epoch_of(loader: Iterable[Any], images: Callable[[Any], int]) -> float:
    """Images a second of an epoch after its first batches, so that starting doesn't count."""
    batches = iter(loader)
    for _ in range(STARTING):
        next(batches)
    start, seen = time.perf_counter(), 0
    for batch in batches:
        seen += images(batch)
    return seen / (time.perf_counter() - start)


def make_loader(folder: Path, processes: int) -> Iterable[Any]:
    """This project's."""
    index = ShardOpener(folder / "cache").open(f"{folder}/shards/t-*.tar")
    batches = PlannedBatches(TrainingPlan(len(index), BATCH))
    memory = BatchMemory(processes, BATCH, SIZE)
    dataset = training_pipeline(batches, Samples(index), 0, memory)
    return web_loader(dataset, processes, memory)


def decoded(sample: dict[str, Any]) -> tuple[Tensor, int]:
    """A sample of webdataset's."""
    buffer = torch.frombuffer(bytearray(sample["jpg"]), dtype=torch.uint8)
    return decode_image(buffer, ImageReadMode.RGB), int(sample["cls"])


def stacked(samples: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """A batch."""
    return torch.stack([image for image, _ in samples]), torch.tensor([x for _, x in samples])


def make_webdataset(folder: Path, processes: int) -> DataLoader[Any]:
    """Webdataset's tar iteration, with the same decoder and batches."""
    shards = [str(path) for path in sorted((folder / "shards").glob("*.tar"))]
    dataset: Any = WebDataset(shards, shardshuffle=False, empty_check=False)
    batches = dataset.map(decoded).batched(BATCH, collation_fn=stacked)
    return DataLoader(batches, batch_size=None, num_workers=processes)


def measure(folder: Path, contents: list[bytes], processes: int, rounds: int) -> dict[str, Any]:
    """Rates with that many processes, in turn."""
    ours = make_loader(folder, processes)
    theirs = make_webdataset(folder, processes)
    sides: dict[str, Callable[[], float]] = {
        "raw": lambda: raw(contents, processes),
        "loader": lambda: epoch_of(ours, lambda batch: len(batch["images"])),
        "webdataset": lambda: epoch_of(theirs, lambda batch: len(batch[0])),
    }
    for side in sides.values():
        side()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    cpu_rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            before = cpu_of_children()
            rates[name].append(side())
            cpu_rates[name].append(len(contents) / (cpu_of_children() - before))
    return {
        "processes": processes,
        "images/s": {name: [round(rate, 1) for rate in found] for name, found in rates.items()},
        "images/s of CPU": {
            name: [round(rate, 1) for rate in found] for name, found in cpu_rates.items()
        },
        "share of raw": {name: share(rates, name) for name in sides},
        "share of raw, CPU": {name: share(cpu_rates, name) for name in sides},
    }


def share(rates: dict[str, list[float]], name: str) -> float:
    """The median of the rounds' ratios to raw."""
    ratios = [rate / raw for rate, raw in zip(rates[name], rates["raw"], strict=True)]
    return round(statistics.median(ratios), 3)


def cpu_of_children() -> float:
    """Seconds of CPU time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?", help="folder of JPEG photographs")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=HERE / "read_rates.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = make_shards(folder, photographs(arguments.photos), arguments.images)
        figures = [measure(folder, contents, count, arguments.rounds) for count in (1, 2)]
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} × {platform.machine()}, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "torchvision": torchvision.__version__,
            "webdataset": version("webdataset"),
        },
        "images": len(contents),
        "KB an image": round(sum(map(len, contents)) / len(contents) / 1000, 1),
        "figures": figures,
    }
    arguments.output.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"{'processes':>9}  {'side':<10}  {'images/s':>8}  {'of raw':>6}  {'of CPU':>6}   spread")
    for figure in figures:
        for side, rates in figure["images/s"].items():
            print(
                f"{figure['processes']:>9}  {side:<10}  {statistics.median(rates):>8.0f}"
                f"  {figure['share of raw'][side]:>6.0%}  {figure['share of raw, CPU'][side]:>6.0%}"
                f"   {min(rates):.0f}…{max(rates):.0f}"
            )


if __name__ == "__main__":
    main()
