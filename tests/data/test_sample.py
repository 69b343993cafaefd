"""The embedded sample is what its README says."""

import csv
import hashlib
import io
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from irodori.data.opening import ShardOpener
from irodori.data.scan import scan

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
PATTERN = str(SAMPLE / "sample-{0..4}.tar")
SCENES = ("animal", "building", "landscape", "solar_panel", "underwater", "windmill")
NO_PERSON = (
    "anonymous",
    "Anonymous",
    "MaxPixel",
    "atlascuisinesolaire",
    "el.wikipedia",
    "National Park Service",
    "NPS",
    "United States Department of Agriculture",
    "U.S. Fish",
)
# Written down a second time on purpose: a slip in build.py must not pass.
SUBJECTS = (
    "eiffel_tower eiffel_tower_2",
    "statue_of_liberty statueof_liberty",
    "great_wall great_wallof_china",
    "mount_rushmore mount_rushmore_2",
    "kutub_minar qutub_minar",
    "giraffe giraffe_2",
    "great_pyramid bent_pyramid red_pyramid meidum_pyramid",
    "fish2 fish26",
)
FIRST_OF_OUTING = (1, 10, 11, 14, 15, 16, 21, 24, 26, 32, 37, 38, 47)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return ShardOpener(tmp_path_factory.mktemp("cache")).open(PATTERN)


@pytest.fixture(scope="module")
def rows():
    with (SAMPLE / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def key(row):
    return row["file"].removesuffix(".jpg").replace("/", "_")


def test_206_photos_of_six_scenes_in_five_shards(index):
    assert len(index) == 206
    assert [shard.path.name for shard in index.shards] == [f"sample-{i}.tar" for i in range(5)]
    assert index.classes == SCENES
    assert np.bincount(index.labels).tolist() == [34, 78, 33, 9, 39, 13]


def test_it_is_at_most_10_mb():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) <= 10e6


def test_every_photo_is_attributed_and_free(index, rows):
    assert len(rows) == 207
    assert list(rows[0]) == ["file", "scene", "author", "licence", "source", "group", "fold"]
    assert {row["licence"] for row in rows} == {"CC0-1.0", "Public domain", "BSD-3-Clause"}
    assert all(row["author"] and row["source"] and row["group"] for row in rows)
    by_key = {key(row): row for row in rows}
    for fold, shard in enumerate(index.shards):
        for name, label in zip(shard.keys, shard.labels, strict=True):
            assert by_key[name]["fold"] == str(fold)
            assert by_key[name]["scene"] == SCENES[label]


def test_nothing_shared_lies_in_two_folds(rows):
    folds = defaultdict(set)
    for row in rows:
        stem = Path(row["file"]).stem
        if not row["fold"]:
            continue
        shared = [("group", row["group"])]
        if stem.startswith("nonface_"):  # one photographer's many outings
            number = int(stem.removeprefix("nonface_"))
            shared.append(("outing", max(n for n in FIRST_OF_OUTING if n <= number)))
        else:
            shared.append(("source", row["source"]))
            if not row["author"].startswith(NO_PERSON):
                shared.append(("author", row["author"]))
        shared += [("subject", names) for names in SUBJECTS if stem in names.split()]
        for thing in shared:
            folds[thing].add(row["fold"])
    assert len([thing for thing in folds if thing[0] == "subject"]) == len(SUBJECTS)
    assert {thing: where for thing, where in folds.items() if len(where) > 1} == {}


def test_every_fold_has_every_scene(rows):
    counts = Counter((row["scene"], row["fold"]) for row in rows if row["fold"])
    table = np.array([[counts[scene, str(fold)] for fold in range(5)] for scene in SCENES])
    print(*zip(SCENES, table.tolist(), strict=True), sep="\n")
    assert table.min() >= 1
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    for scene, in_folds in zip(SCENES, table, strict=True):
        assert f"| {scene} | {' | '.join(map(str, in_folds))} |" in readme


def test_the_index_agrees_with_the_shards(index):
    for shard in index.shards:
        fresh = scan(shard.path)
        assert list(fresh.keys) == list(shard.keys)
        for column in ("labels", "offsets", "sizes"):
            assert (getattr(fresh, column) == getattr(shard, column)).all()
        assert hashlib.sha256(shard.path.read_bytes()).hexdigest() == shard.sha256


def test_the_historical_photo_is_in_no_shard(index, rows):
    assert [row["fold"] for row in rows if row["scene"] == "historical"] == [""]
    historical = (SAMPLE / "historical" / "castle_clinton.jpg").read_bytes()
    assert not any("castle_clinton" in name for shard in index.shards for name in shard.keys)
    assert all(historical not in shard.path.read_bytes() for shard in index.shards)


def test_webdataset_reads_the_shards(index):
    urls = [str(shard.path) for shard in index.shards]
    read = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in read] == [k for s in index.shards for k in s.keys]
    assert [int(sample["cls"]) for sample in read] == index.labels.tolist()
    with Image.open(io.BytesIO(read[0]["jpg"])) as image:
        assert image.convert("RGB").size == image.size
