"""Is the processor ever idle? `python experiments/colorize/folder.py --checkpoint <file>`.

Makes a folder of 12-megapixel JPEGs out of sample photographs, enlarged and with grain, and colours
it as `irodori colorize` does, with as many photos at a time as there are cores. Each photo is
decoded, coloured and encoded by one thread whose own time on a core is counted, so that their sum,
shared out among the cores, is the least that a folder can take. Prints that beside the time that it
took, and puts it into folder.json beside this file. Nothing else should run meanwhile.
"""

import argparse
import datetime
import json
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
from irodori.inference.job.options import Options
from PIL import Image

import irodori
from irodori.config import PROJECT
from irodori.data.index import read_index
from irodori.data.samples import Samples
from irodori.inference.job.plan import make_plan
from irodori.inference.job.run import color_photos, cores, make_painter

HERE = Path(__file__).parent
SIZE = (4000, 3000)
"""Width and height of the photos, in pixels."""
GRAIN = 6.0
"""Standard deviation of the noise, in 8-bit levels: about that of film."""
QUALITY = 92
"""Of the photos: 3 to 5 MB each, as cameras and scanners write them."""


def enlarge(pixels_HW3: np.ndarray, seed: int, path: Path) -> None:
    """Write a photograph as a 12-megapixel gray one with grain."""
    large = Image.fromarray(pixels_HW3).convert("L").resize(SIZE, Image.Resampling.BICUBIC)
    random = np.random.default_rng(seed)
    noise = random.standard_normal(SIZE[::-1], np.float32) * GRAIN
    grainy = (np.asarray(large, np.float32) + noise).round().clip(0, 255).astype(np.uint8)
    # Scanners write gray as three channels.
    Image.fromarray(grainy).convert("RGB").save(path, quality=QUALITY)


def make_folder(folder: Path, count: int) -> None:
    """Fill a folder with photos; every core is used."""
    index = read_index(PROJECT / "data" / "sample")
    data = Samples(index)
    folder.mkdir()
    with ProcessPoolExecutor(cores()) as pool:
        for number in range(count):
            pixels = data.image(number % len(index)).permute(1, 2, 0).numpy()
            pool.submit(enlarge, pixels, number, folder / f"{number:03}.jpg")


def measure(folder: Path, output: Path, options: Options) -> dict[str, Any]:
    """Seconds of a folder's photos, in all and on cores by phase; the model is loaded before."""
    plan = make_plan([str(folder)], str(output), options)
    painter = make_painter(plan, options, cores(), print)
    warm_up = np.zeros((*SIZE[::-1], 1), np.uint8)
    painter(warm_up)
    start, busy = time.perf_counter(), time.process_time()
    outcomes = list(color_photos(plan, options, print, lambda *_: painter))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert not failed, failed[0]
    phases = {
        name: sum(getattr(outcome.clock, name) for outcome in outcomes)
        for name in ("read", "color", "write")
    }
    return {
        "seconds": round(seconds, 2),
        "core seconds": {name: round(value, 2) for name, value in phases.items()},
        "ratio": round(seconds * cores() / sum(phases.values()), 3),
        "share of the cores that was busy": round(busy / seconds / cores(), 3),
        "photos/s": round(len(outcomes) / seconds, 3),
        "megapixels/s": round(len(outcomes) * SIZE[0] * SIZE[1] / 1e6 / seconds, 1),
    }


def whole_command(folder: Path, output: Path, checkpoint: Path | None) -> dict[str, float]:
    """Seconds of `irodori colorize` as a fresh process: to its first result, and to its end."""
    command = [
        sys.executable,
        "-c",
        "from irodori.cli.app import app; app()",
        "colorize",
        str(folder),
    ]
    command += ["--output", str(output)]
    if checkpoint is not None:
        command += ["--checkpoint", str(checkpoint)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - start
        process.stdout.read()
    assert process.returncode == 0
    return {"first": round(first, 2), "all": round(time.perf_counter() - start, 2)}


def main() -> None:
    """Make, measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="default: the model that comes along")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "folder.json")
    arguments = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "photos")
        make_folder(folder, arguments.photos)
        for number in range(arguments.rounds):
            options = Options(arguments.checkpoint)
            rounds.append(measure(folder, Path(scratch, f"out{number}"), options))
            print(json.dumps(rounds[-1]), flush=True)
        command = whole_command(folder, Path(scratch, "out"), arguments.checkpoint)
    rounds.sort(key=lambda one: one["ratio"])
    middle = rounds[len(rounds) // 2]
    result = {
        "date": datetime.date.today().isoformat(),
        "hardware": {"cores": cores(), "machine": platform.machine()},
        "versions": {
            "irodori": irodori.__version__,
            "torch": torch.__version__,
            "Pillow": PIL.__version__,
        },
        "photos": arguments.photos,
        "size": SIZE,
        "rounds": rounds,
        "seconds of the command": command,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"{arguments.photos} photos of 12 megapixels on {cores()} cores: "
        f"{middle['seconds']} s, {middle['ratio']} × (core seconds of decoding, network and "
        f"encoding) / cores; first photo of the command after {command['first']} s"
    )


if __name__ == "__main__":
    main()
