"""The photographs of data/sample, for tests that noise can't serve."""

from itertools import islice
from pathlib import Path

import torch
import webdataset

from irodori.data.images import decode, to_square

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


def photographs(number, size=None):
    """The first of the first shard: 3×H×W uint8 each, scaled to size×size if that is given."""
    shard = webdataset.WebDataset(str(SAMPLE / "sample-0.tar"), shardshuffle=False)
    decoded = (decode(sample["jpg"]) for sample in islice(shard, number))
    return [photo if size is None else to_square(photo, size) for photo in decoded]


def batch(number, size):
    """The same as B×3×size×size float64 in [0,1]."""
    return torch.stack(photographs(number, size)).double() / 255
