"""How fast shards are written: `python experiments/streaming/write_rates.py [<photos folder>]`.

copy: images a second of `irodori shards write --near-gray 0 --no-decode`, which copies what fits,
over `cp -r` of the same files, in turn; the same with the time of `sync` after each, since shards
are on disk when they have their names, and what `cp` wrote is not.

encode: images a second of `irodori shards write` of photographs that are too large, over cores ×
one core's bare decode + scale + encode with the same library, in turn; and both per second of
processor time, which other programs that want the cores disturb less.

Without a folder it takes the embedded sample. Copies of its photographs under other names make the
two sources, in a temporary folder (TMPDIR). Prints the figures and puts them into
write_rates.json beside this file. Nothing else should run meanwhile.
"""

import argparse
import datetime
import io
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import PIL
from PIL import Image, features

from irodori.config import PROJECT
from irodori.data.writing.prepare import QUALITY

HERE = Path(__file__).parent
SIZE = 256
CLASSES = 20
BARE_CPU, OUR_CPU = "bare, per CPU second", "shards write, per CPU second"


def photographs(folder: Path | None) -> list[Image.Image]:
    """RGB photographs of a folder, or of the embedded sample."""
    if folder is None:
        found: list[Image.Image] = []
        for path in sorted((PROJECT / "data" / "sample").glob("*.tar")):
            with tarfile.open(path) as shard:
                for member in shard:
                    file = shard.extractfile(member)
                    if member.name.endswith(".jpg") and file is not None:
                        found.append(Image.open(io.BytesIO(file.read())).convert("RGB"))
        return found
    return [Image.open(path).convert("RGB") for path in sorted(folder.rglob("*.jpg"))]


def make_source(folder: Path, photos: list[Image.Image], count: int, short_side: int) -> None:
    """`count` JPEGs with that short side in class folders; each photograph is encoded once."""
    contents = []
    for photo in photos:
        scale = short_side / min(photo.size)
        size = (round(photo.width * scale), round(photo.height * scale))
        file = io.BytesIO()
        photo.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    for number in range(count):
        path = folder / f"class{number % CLASSES:02d}" / f"photo{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write(source: Path, output: Path, *options: str) -> None:
    """The command itself, with all that its start takes."""
    command = [str(Path(sys.executable).with_name("irodori")), "shards", "write"]
    subprocess.run(
        [*command, str(source), str(output), *options],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def copy(source: Path, output: Path) -> None:
    """What is to be kept up with."""
    subprocess.run(["cp", "-r", str(source), str(output)], check=True)


def children_seconds() -> float:
    """Processor time of the processes that have ended, their system calls included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def copy_rates(source: Path, scratch: Path, rounds: int, count: int) -> dict[str, Any]:
    """Images/s of both sides, in turn; the files are in the page cache for both."""
    output = scratch / "output"
    sides: dict[str, Callable[[], None]] = {
        "cp -r": partial(copy, source, output),
        "shards write": partial(write, source, output, "--near-gray", "0", "--no-decode"),
    }
    rates: dict[str, list[float]] = {f"{n}{s}": [] for n in sides for s in ("", " + sync")}
    for number in range(rounds + 1):
        for name, side in sides.items():
            os.sync()  # nothing left over from the other side
            seconds = timed(side)
            synced = seconds + timed(os.sync)
            shutil.rmtree(output)
            if number:  # the first is a warm-up
                rates[name].append(count / seconds)
                rates[f"{name} + sync"].append(count / synced)
    return compared(rates, (("shards write", "cp -r"), ("shards write + sync", "cp -r + sync")))


def one_core(paths: list[Path]) -> float:
    """Images/s of a bare loop: decode at a reduced scale, resize, encode."""

    def loop() -> None:
        for path in paths:
            with Image.open(io.BytesIO(path.read_bytes())) as image:
                scale = SIZE / min(image.size)
                width, height = (round(side * scale) for side in image.size)
                image.draft(None, (2 * width, 2 * height))
                small = image.resize((width, height), Image.Resampling.BICUBIC)
            small.save(io.BytesIO(), "JPEG", quality=QUALITY, subsampling="4:4:4")

    return len(paths) / timed(loop)


def encode_rates(source: Path, scratch: Path, rounds: int, count: int) -> dict[str, Any]:
    """Images/s of both sides, in turn."""
    paths = sorted(source.rglob("*.jpg"))[: max(1, count // 4)]
    cores = len(os.sched_getaffinity(0))
    rates: dict[str, list[float]] = {
        name: [] for name in ("cores x one core", BARE_CPU, "shards write", OUR_CPU)
    }
    for number in range(rounds + 1):
        before = time.process_time()
        bare = cores * one_core(paths)
        bare_cpu = (time.process_time() - before) / len(paths)
        before = children_seconds()
        seconds = timed(lambda: write(source, scratch / "output"))
        our_cpu = (children_seconds() - before) / count
        shutil.rmtree(scratch / "output")
        if number:
            rates["cores x one core"].append(bare)
            rates[BARE_CPU].append(1 / bare_cpu)
            rates["shards write"].append(count / seconds)
            rates[OUR_CPU].append(1 / our_cpu)
    return compared(rates, (("shards write", "cores x one core"), (OUR_CPU, BARE_CPU)))


def compared(rates: dict[str, list[float]], pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Medians of the rounds' ratios beside the rounds themselves."""
    return {
        "images/s": {name: [round(rate) for rate in each] for name, each in rates.items()},
        "ratio": {
            f"{one} / {other}": round(
                statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True)), 2
            )
            for one, other in pairs
        },
    }


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?", help="a folder of JPEGs")
    parser.add_argument("--copied", type=int, default=8000, help="images for the first part")
    parser.add_argument("--encoded", type=int, default=1600, help="images for the second part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "write_rates.json")
    arguments = parser.parse_args()
    photos = photographs(arguments.photos)
    with tempfile.TemporaryDirectory() as folder:
        fitting, large = Path(folder, "fitting"), Path(folder, "large")
        make_source(fitting, photos, arguments.copied, SIZE)
        make_source(large, photos, arguments.encoded, 4 * SIZE)
        figures = {
            "copy": copy_rates(fitting, Path(folder), arguments.rounds, arguments.copied),
            "encode": encode_rates(large, Path(folder), arguments.rounds, arguments.encoded),
        }
        sizes = {
            part: round(sum(p.stat().st_size for p in source.rglob("*.jpg")) / 1e6, 1)
            for part, source in (("copy", fitting), ("encode", large))
        }
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": f"{len(os.sched_getaffinity(0))} cores of {processor()}",
        "versions": {
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "libjpeg-turbo": features.version("libjpeg_turbo"),
        },
        "images": {"copy": arguments.copied, "encode": arguments.encoded},
        "megabytes": sizes,
        **figures,
    }
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    for part in ("copy", "encode"):
        for name, rates in figures[part]["images/s"].items():
            print(f"{part:8}{name:30}{statistics.median(rates):10,.0f} images/s")
        for name, ratio in figures[part]["ratio"].items():
            print(f"{part:8}{name:60}{ratio:6.2f}")


if __name__ == "__main__":
    main()
