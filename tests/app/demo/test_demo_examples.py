import csv

import webdataset
from PIL import Image

from irodori.app.demo.page import attribution, copied_to
from irodori.config import PROJECT

SAMPLE = PROJECT / "data" / "sample"


def test_examples_are_the_samples_and_say_whose_they_are(tmp_path):
    examples = copied_to(tmp_path / "examples")
    with (SAMPLE / "ATTRIBUTION.csv").open(newline="") as file:
        rows = {row["file"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    # Those of the first fold are validation photographs of a run as it is by default.
    shard = webdataset.WebDataset(str(SAMPLE / "sample-0.tar"), shardshuffle=False)
    photographs = {sample["jpg"] for sample in shard}
    assert examples[0].file.read_bytes() == (SAMPLE / "historical/castle_clinton.jpg").read_bytes()
    assert len(examples) == 4
    text = attribution(examples)
    for number, example in enumerate(examples):
        row = rows[example.file.name]
        assert (example.author, example.licence, example.source) == (
            row["author"],
            row["licence"],
            row["source"],
        )
        assert example.licence in ("Public domain", "CC0-1.0")
        assert example.title in text
        assert example.author in text
        assert example.file.parent == tmp_path / "examples"
        assert number == 0 or example.file.read_bytes() in photographs
        Image.open(example.file).load()
