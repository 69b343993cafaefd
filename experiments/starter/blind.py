"""Pairs of pictures by two models, to be judged without knowing which is whose.

`python experiments/starter/blind.py --old FILE --new FILE --output FOLDER`
writes sheets of six numbered pairs, A and B, and key.csv, which a judge doesn't see. The judge
writes a line for each pair: its number and the better picture, as `7 A` or `7 B`, or `7 =` where
neither is. `python experiments/starter/blind.py --output FOLDER --answers FILE` counts them.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy import stats
from torchvision.transforms.v2 import functional
from unseen import PHOTOGRAPHS, read

from irodori import Colorizer
from irodori.color import Lab
from irodori.inference.contact_sheet import contact_sheet, gray_of

PAIRS, SHEET, BESIDE = 60, 6, 2
"""Pairs in all, on a sheet, and in a row of it."""
BOX = (400, 320)


def main() -> None:
    """Write the pairs, or count answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", default=PHOTOGRAPHS, help="shards, %(default)s")
    parser.add_argument("--old", type=Path, help="checkpoint of the old model")
    parser.add_argument("--new", type=Path, help="checkpoint of the new model")
    parser.add_argument("--output", type=Path, required=True, help="folder of the sheets")
    parser.add_argument("--answers", type=Path, help="a judge's answers")
    parser.add_argument("--seed", type=int, default=60, help="draws photographs and sides")
    parser.add_argument("--quick", action="store_true", help="a few pairs, as a trial")
    chosen = parser.parse_args()
    if chosen.answers is not None:
        print(counted(chosen.output / "key.csv", chosen.answers))
    elif None in (chosen.old, chosen.new):
        parser.error("give --old and --new, or --answers")
    else:
        write_pairs(chosen)


def write_pairs(chosen: argparse.Namespace) -> None:
    """Write sheet-01.png, …, and key.csv: each pair's photograph, and which is the new model's."""
    models = [Colorizer.load(path) for path in (chosen.new, chosen.old)]
    photos = read(chosen.photographs, chosen.quick)
    random = np.random.default_rng(chosen.seed)
    drawn = random.permutation(len(photos))[:PAIRS]
    pairs, key = [], []
    for number in drawn:
        gray = functional.to_pil_image(gray_of(Lab(), photos[number].image_3HW))
        new_is_b = int(random.integers(2))
        pictures = [colorizer(gray) for colorizer in models]
        pairs.append(pictures[::-1] if new_is_b else pictures)
        key.append([len(pairs), photos[number].key, "AB"[new_is_b]])
    chosen.output.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(pairs), SHEET):
        starts = range(first, min(first + SHEET, len(pairs)), BESIDE)
        rows = [[p for pair in pairs[start : start + BESIDE] for p in pair] for start in starts]
        captions = [[f"{start + place + 1}" for place in range(BESIDE)] for start in starts]
        sheet = contact_sheet(rows, "ABAB", captions, BOX)
        sheet.save(chosen.output / f"sheet-{first // SHEET + 1:02}.png")
    with (chosen.output / "key.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["pair", "photograph", "new"], *key])


def counted(key: Path, answers: Path) -> str:
    """Return how often the new model's picture was preferred; a tie counts for neither."""
    with key.open(newline="") as file:
        new = {row["pair"]: row["new"] for row in csv.DictReader(file)}
    given = dict(line.split() for line in answers.read_text().splitlines() if line.strip())
    if given.keys() != new.keys() or not set(given.values()) <= set("AB="):
        raise SystemExit(f"{answers}: give A, B or = for each of the pairs 1 to {len(new)}")
    ties = sum(answer == "=" for answer in given.values())
    wins = sum(given[pair] == side for pair, side in new.items())
    low, high = stats.binomtest(wins, len(new)).proportion_ci(method="wilson")
    return (
        f"the new model's picture is preferred in {wins} of {len(new)} pairs: {wins / len(new):.0%}"
        f" (Wilson's 95 % interval {low:.0%} to {high:.0%}); {ties} ties,"
        f" {len(new) - wins - ties} for the old model's"
    )


if __name__ == "__main__":
    main()
