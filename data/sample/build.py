"""Build the sample's shards (folds): `python data/sample/build.py <photos folder> [<output>]`.

The photos folder holds `<scene>/<name>.jpg`, `historical/castle_clinton.jpg` and ATTRIBUTION.csv
with the columns file, scene, author, licence, source. The same photos give the same bytes.
"""

import csv
import random
import shutil
import sys
from pathlib import Path

from folds import grouped_folds, linked_groups

from irodori.data.writer import Entry, write_shards

FOLDS = 5
HISTORICAL = "historical"  # a photo to try out, never trained on or tested with

# Names that don't identify a person: their photos aren't related.
NO_PERSON = (
    "anonymous",
    "maxpixel",
    "atlascuisinesolaire",
    "el.wikipedia",
    "national park service",
    "nps ",
    "united states department of agriculture",
    "u.s. fish",
)
SUBJECTS = (
    ("eiffel_tower", "eiffel_tower_2"),
    ("statue_of_liberty", "statueof_liberty"),
    ("great_wall", "great_wallof_china"),
    ("mount_rushmore", "mount_rushmore_2"),
    ("kutub_minar", "qutub_minar"),
    ("giraffe", "giraffe_2"),
    ("great_pyramid", "bent_pyramid", "red_pyramid", "meidum_pyramid"),
)
# One photographer's collection, numbered in the order of the outings; judged from the pictures.
OUTINGS = (
    (1, 9),
    (10, 10),
    (11, 12),
    (14, 14),
    (15, 15),
    (16, 20),
    (21, 23),
    (24, 25),
    (26, 31),
    (32, 36),
    (37, 37),
    (38, 45),
    (47, 51),
)


def outing(stem: str) -> str | None:
    """Return the outing on which a photo of the `nonface_<number>` collection was taken."""
    if not stem.startswith("nonface_"):
        return None
    number = int(stem.removeprefix("nonface_"))
    first, last = next((a, b) for a, b in OUTINGS if a <= number <= b)
    return f"outing {first}-{last}" if first < last else f"outing {first}"


def ties(row: dict[str, str]) -> set[str]:
    """Return the attributes that photos in the same fold share."""
    stem = Path(row["file"]).stem
    if same_outing := outing(stem):
        return {same_outing}
    tied = {f"source {row['source']}"}
    if not row["author"].lower().startswith(NO_PERSON):
        tied.add(f"author {row['author']}")
    return tied | {f"subject {names[0]}" for names in SUBJECTS if stem in names}


def build(photos: Path, output: Path) -> None:
    """Write shards, index, ATTRIBUTION.csv and the historical photo into `output`."""
    with (photos / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    for row, first in zip(rows, linked_groups([ties(row) for row in rows]), strict=True):
        stem = Path(rows[first]["file"]).stem
        row["group"] = outing(stem) or stem
        row["fold"] = ""
    sample = [row for row in rows if row["scene"] != HISTORICAL]
    scenes, groups = [row["scene"] for row in sample], [row["group"] for row in sample]
    classes = sorted(set(scenes))
    shards: list[list[Entry]] = [[] for _ in range(FOLDS)]
    for row, fold in zip(sample, grouped_folds(scenes, groups, FOLDS), strict=True):
        row["fold"] = str(fold)
        key = row["file"].removesuffix(".jpg").replace("/", "_")
        shards[fold].append((key, photos / row["file"], classes.index(row["scene"])))
    chance = random.Random(0)  # mixed, so that the scenes do not come one after the other
    for shard in shards:
        chance.shuffle(shard)
    write_shards(shards, output, "sample", classes, {"command": "python data/sample/build.py"})
    with (output / "ATTRIBUTION.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["scene"] == HISTORICAL:
            (output / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photos / row["file"], output / row["file"])


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python data/sample/build.py <photos folder> [<output folder>]")
    build(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).parent)
