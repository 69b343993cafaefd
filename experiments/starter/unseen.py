"""The photographs that the bundled model is judged on, none of which it has seen."""

import zlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from irodori.color import to_float, to_uint8
from irodori.config import PROJECT
from irodori.data.aging import age
from irodori.data.images import to_short_side
from irodori.data.index import Index, read_index
from irodori.data.samples import Samples
from irodori.model import Model
from irodori.network.joint import upsample_chroma

QUICK = 6
"""Photographs that are enough to see that a script runs."""


class Photograph(NamedTuple):
    """A photograph as it is validated: 3×H×W uint8 RGB, its short side at most 256 pixels."""

    key: str
    scene: str
    image_3HW: Tensor


def validation(folder: Path, quick: bool = False) -> list[Photograph]:
    """Return the photographs of a folder's shards `val-*.tar`."""
    index = read_index(folder)
    shards = tuple(shard for shard in index.shards if shard.name.startswith("val-"))
    return _read(Index(shards, index.classes), quick)


def sample(quick: bool = False) -> list[Photograph]:
    """Return the 206 photographs of data/sample."""
    return _read(read_index(PROJECT / "data" / "sample"), quick)


def _read(index: Index, quick: bool) -> list[Photograph]:
    samples = Samples(index)
    named = [
        (key, index.classes[label])
        for shard in index.shards
        for key, label in zip(shard.keys, shard.labels, strict=True)
    ]
    return [
        Photograph(key, scene, to_short_side(samples.image(position), 256))
        for position, (key, scene) in enumerate(named[: QUICK if quick else None])
    ]


def aged(luminance_11HW: Tensor, key: str) -> Tensor:
    """Return the luminance of a photograph's old print, which is the same in every run."""
    return age(luminance_11HW[0], zlib.crc32(key.encode()))[None]


@torch.inference_mode()
def colored(model: Model, photo: Photograph, old: bool = False) -> Tensor:
    """Return the photograph with its own luminance and the predicted chrominance: 3×H×W uint8.

    Args:
        model: predicts at the photograph's size, as in a run's validation.
        photo: of which the model sees the luminance alone.
        old: the model sees an old print of it.
    """
    luminance_11HW, _ = model.space.encode(to_float(photo.image_3HW[None]))
    seen_11HW = aged(luminance_11HW, photo.key) if old else luminance_11HW
    chroma_1Chw, _ = model.network(seen_11HW)
    chroma_1CHW = upsample_chroma(chroma_1Chw, *luminance_11HW.shape[-2:])
    return to_uint8(model.space.decode(luminance_11HW, chroma_1CHW))[0]
