"""The photographs that the bundled model has learned from: who made them, and their licences.

`python experiments/starter/attribution.py FOLDER` takes the folder of `data=photographs`, writes
photographs.csv beside this file, and prints how many photographs have each licence.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

from irodori.data.index import read_index

COLUMNS = {
    "path": "path",
    "title": "title",
    "author": "author",
    "licence": "licence",
    "source": "address",
}
"""Columns of ATTRIBUTION.csv and their names here."""


def main() -> None:
    """Write and print."""
    root = Path(sys.argv[1])
    rows = [row for folder in (root, root / "scenes") for row in training_rows(folder)]
    with (Path(__file__).parent / "photographs.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS.values())
        writer.writerows([row[name] for name in COLUMNS] for row in rows)
    print("| licence | photographs |\n|---|---|")
    for licence, count in Counter(row["licence"] for row in rows).most_common():
        print(f"| {licence} | {count} |")


def training_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of ATTRIBUTION.csv of the photographs in training shards."""
    with (folder / "ATTRIBUTION.csv").open(newline="") as file:
        # A key has no dots: there its suffixes would begin.
        rows = {
            row["path"].rpartition(".")[0].replace(".", "_"): row for row in csv.DictReader(file)
        }
    shards = read_index(folder).shards
    return [
        rows[key.replace(".", "_")]
        for shard in shards
        if shard.name.startswith("train")
        for key in shard.keys
    ]


if __name__ == "__main__":
    main()
