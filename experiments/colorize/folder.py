"""Measure the speed of `irodori colorize`: `python experiments/colorize/folder.py`.

Creates a folder of 12-megapixel JPEGs from sample photographs, upsampled and with grain, and
colorizes it in a fresh process, with as many photos at a time as there are cores. Writes the
seconds to the first result and to the end to folder.json beside this file. `--against src`
alternates with another version's `src` folder, for a fair comparison. Run it on an otherwise idle
machine.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

import irodori
from irodori.config import PROJECT
from irodori.data.index import read_index
from irodori.data.samples import Samples
from irodori.utils.cores import available_cores

HERE = Path(__file__).parent
SIZE = (4000, 3000)
"""Width and height of the photos, in pixels."""
GRAIN = 6.0
"""Standard deviation of the noise, in 8-bit levels: about that of film."""
QUALITY = 92
"""JPEG quality of the photos: 3 to 5 MB each, like those of cameras and scanners."""


def enlarge(pixels_HW3: np.ndarray, seed: int, path: Path) -> None:
    """Write a photograph as a 12-megapixel gray one with grain."""
    large = Image.fromarray(pixels_HW3).convert("L").resize(SIZE, Image.Resampling.BICUBIC)
    random = np.random.default_rng(seed)
    noise = random.standard_normal(SIZE[::-1], np.float32) * GRAIN
    grainy = (np.asarray(large, np.float32) + noise).round().clip(0, 255).astype(np.uint8)
    # Scanners write gray as three channels.
    Image.fromarray(grainy).convert("RGB").save(path, quality=QUALITY)


def make_folder(folder: Path, count: int) -> None:
    """Fill a folder with photos, using all cores."""
    index = read_index(PROJECT / "data" / "sample")
    data = Samples(index)
    folder.mkdir()
    with ProcessPoolExecutor(available_cores()) as pool:
        for number in range(count):
            pixels = data.image(number % len(index)).permute(1, 2, 0).numpy()
            pool.submit(enlarge, pixels, number, folder / f"{number:03}.jpg")


def measure(source: Path, folder: Path, output: Path, photos: int) -> dict[str, Any]:
    """Colorize a folder with a version's source, in a fresh process."""
    command = [sys.executable, "-c", "from irodori.cli.app import app; app()", "colorize"]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, str(folder), "--output", str(output)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - start
        process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    seconds = time.perf_counter() - start
    return {
        "first result after": round(first, 2),
        "seconds": round(seconds, 2),
        "photos a minute": round(60 * photos / seconds, 1),
        "core seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak MB": round(usage.ru_maxrss / 1000),
    }


def main() -> None:
    """Create the photos, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="src folder of another version")
    parser.add_argument("--output", type=Path, default=HERE / "folder.json")
    arguments = parser.parse_args()
    versions = {"this": Path(irodori.__file__).parents[1]}
    if arguments.against is not None:
        versions["other"] = arguments.against.resolve()
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in versions}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "photos")
        make_folder(folder, arguments.photos)
        for number in range(arguments.rounds):
            for name, source in versions.items():
                output = Path(scratch, f"{name}{number}")
                rounds[name].append(measure(source, folder, output, arguments.photos))
                print(name, json.dumps(rounds[name][-1]), flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": {"cores": available_cores(), "machine": platform.machine()},
        "versions": {
            "irodori": irodori.__version__,
            "torch": torch.__version__,
            "Pillow": PIL.__version__,
        },
        "photos": arguments.photos,
        "size": SIZE,
        "rounds": rounds,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
