"""The photographs on which the bundled model is evaluated, none of which it has seen."""

import os
import zlib
from typing import NamedTuple

import torch
from torch import Tensor

from irodori.color import to_float, to_uint8
from irodori.config import PROJECT
from irodori.data.aging import age
from irodori.data.images import to_short_side
from irodori.data.opening import ShardOpener
from irodori.data.samples import Samples
from irodori.model import Model
from irodori.network.joint import upsample_chroma

PHOTOGRAPHS = f"{os.environ.get('PHOTOGRAPHS', '.')}/val-*.tar"
"""Validation shards, below the folder of conf/data/photographs.yaml."""
SAMPLES = PROJECT / "data" / "sample"
QUICK = 40
"""Step between photographs in a quick trial."""


class Photograph(NamedTuple):
    """A photograph at validation size: 3×H×W uint8 RGB, short side at most 256 pixels."""

    key: str
    scene: str
    image_3HW: Tensor


def read(shards: str, quick: bool = False) -> list[Photograph]:
    """Return the photographs of shards (a pattern like `data.val`); with `quick` every fortieth."""
    index = ShardOpener().open(shards)
    samples = Samples(index)
    keys = [key for shard in index.shards for key in shard.keys]
    return [
        Photograph(
            keys[number],
            index.classes[index.labels[number]],
            to_short_side(samples.image(number), 256),
        )
        for number in range(0, len(keys), QUICK if quick else 1)
    ]


def aged(luminance_11HW: Tensor, key: str) -> Tensor:
    """Return the luminance of a simulated old print, the same in every run."""
    return age(luminance_11HW[0], zlib.crc32(key.encode()))[None]


@torch.inference_mode()
def colored(model: Model, photo: Photograph, old: bool = False) -> Tensor:
    """Return the photograph with its own luminance and the predicted chrominance: 3×H×W uint8.

    Args:
        model: model that predicts at the photograph's size, as in a run's validation.
        photo: photograph, of which the model only sees the luminance.
        old: use a simulated old print as input.
    """
    luminance_11HW, _ = model.space.encode(to_float(photo.image_3HW[None]))
    seen_11HW = aged(luminance_11HW, photo.key) if old else luminance_11HW
    chroma_1Chw, _ = model.network(seen_11HW)
    chroma_1CHW = upsample_chroma(chroma_1Chw, *luminance_11HW.shape[-2:])
    return to_uint8(model.space.decode(luminance_11HW, chroma_1CHW))[0]
