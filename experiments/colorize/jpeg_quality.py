"""Compare qualities of JPEG and WebP: `python experiments/colorize/jpeg_quality.py`.

Saves photographs as JPEG and WebP at several qualities, with chrominance at full size (4:4:4) and
at half of it (4:2:0), and compares what comes back with what went in: CIEDE2000, and L* in steps of
which white is 255, the model's own luminance. Two sets: the sample's photographs, which are JPEGs
already and so lie on JPEG's grid; and larger ones that do not: some of scikit-image's, and some of
the sample's enlarged three times. Prints a table and writes jpeg_quality.csv beside this file.

After it, how long PNG takes at several of zlib's levels, for a 12-megapixel photograph.
"""

import argparse
import csv
import io
import tarfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
import skimage
import torch
from PIL import Image

from irodori.color import to_float
from irodori.color.difference import ciede2000
from irodori.color.lab import rgb_to_lab

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "data" / "sample"
SETTINGS = [
    *(("JPEG", sampling, q) for sampling in ("4:4:4", "4:2:0") for q in (75, 85, 90, 95, 97, 100)),
    *(("WEBP", "4:2:0", q) for q in (80, 90, 95, 100)),
]
COLUMNS = [
    "photos",
    "format",
    "chrominance",
    "quality",
    "ΔE00",
    "L* RMS",
    "L* 99.9 %",
    "L* max",
    "bytes/pixel",
]


def sample(number: int) -> list[Image.Image]:
    """Return the sample's photographs as RGB."""
    photos = []
    for shard in sorted(SAMPLE.glob("*.tar")):
        with tarfile.open(shard) as members:
            for member in members:
                content = members.extractfile(member)
                if member.name.endswith(".jpg") and content is not None:
                    photos.append(Image.open(io.BytesIO(content.read())).convert("RGB"))
    return photos[:number]


def larger(number: int) -> list[Image.Image]:
    """Return photographs that aren't aligned to a JPEG grid."""
    names = ("astronaut", "coffee", "chelsea")
    own = [Image.fromarray(getattr(skimage.data, name)()) for name in names]
    grown = [
        photo.resize((3 * photo.width, 3 * photo.height), Image.Resampling.BICUBIC)
        for photo in sample(200)[:: 200 // 8]
    ]
    return [*own, *grown][:number]


def measured(photos: list[Image.Image], form: str, sampling: str, quality: int) -> list[float]:
    """Return mean CIEDE2000, L* error (RMS, 99.9 %, max) in 8-bit steps, bytes per pixel."""
    pixels = size = 0
    total = squares = 0.0
    steps = []
    for photo in photos:
        file = io.BytesIO()
        settings = {"subsampling": sampling} if form == "JPEG" else {}
        photo.save(file, form, quality=quality, **settings)
        size += file.tell()
        before, after = (
            rgb_to_lab(to_float(torch.from_numpy(np.array(one)).permute(2, 0, 1)[None]))
            for one in (photo, Image.open(file).convert("RGB"))
        )
        total += float(ciede2000(before, after).double().sum())
        step = (before - after)[0, 0].abs().numpy().ravel() * 2.55
        squares += float((step.astype(np.float64) ** 2).sum())
        steps.append(step)
        pixels += step.size
    all_steps = np.concatenate(steps)
    high, most = float(np.quantile(all_steps, 0.999)), float(all_steps.max())
    return [total / pixels, (squares / pixels) ** 0.5, high, most, size / pixels]


def png_levels() -> None:
    """Print seconds and megabytes of a 12-megapixel photograph as PNG, by zlib's level."""
    photo = larger(1)[0].resize((4000, 3000), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 2, (3000, 4000, 3))  # as a camera's
    pixels = (np.asarray(photo) + noise).round().clip(0, 255).astype(np.uint8)
    print("\n| PNG level | seconds | MB |\n|---|---|---|")
    for level in (1, 2, 3, 4, 6):
        start = time.perf_counter()
        size = len(imagecodecs.png_encode(pixels, level=level))
        print(f"| {level} | {time.perf_counter() - start:.2f} | {size / 1e6:.1f} |")


def main() -> None:
    """Measure, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=206, help="at most so many of each set")
    parser.add_argument("--output", type=Path, default=HERE / "jpeg_quality.csv")
    given = parser.parse_args()
    with given.output.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
        for name, photos in (("sample", sample(given.photos)), ("larger", larger(given.photos))):
            for setting in SETTINGS:
                figures = [f"{figure:.3f}" for figure in measured(photos, *setting)]
                row = [f"{name} ({len(photos)})", *map(str, setting), *figures]
                table.writerow(row)
                print("| " + " | ".join(row) + " |", flush=True)
    png_levels()


if __name__ == "__main__":
    main()
