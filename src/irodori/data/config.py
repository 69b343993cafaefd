"""The group `data` of the configuration: which shards are read, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from irodori.config.labels import NoEffect
from irodori.config.ranges import Range

Sample = dict[str, Any]
"""A sample as webdataset yields it: `__key__`, `__url__`, and its files by their suffixes."""


@dataclass(frozen=True)
class DataConfig:
    """Which shards are read, and how."""

    train: Annotated[str, NoEffect()]
    """Shards to train on: a path, glob, brace pattern or URL."""
    val: Annotated[str, NoEffect()]
    """Shards to validate on, likewise."""
    fold: Annotated[int | None, NoEffect()] = None
    """Cross-validation: the number of the shard of `train` to validate on; the rest train."""
    val_seen: bool = False
    """Allow shards in both: for a last training on all photographs, whose metrics then say how
    well they are learnt, and nothing about others."""
    classes: Annotated[str | None, NoEffect()] = None
    """File with one class name a line; without it the index's names, or plain numbers."""
    cache: Annotated[str | None, NoEffect()] = "~/.cache/irodori"
    """Folder for shards behind URLs, and for indexes of shards that have none; null: no shard is
    kept, each sample is read by a range request."""
    cache_gb: Annotated[float | None, Range(above=0), NoEffect()] = None
    """GB (10⁹ bytes) that kept shards may take: the least recently used make room; null: any."""
    retries: Annotated[int, Range(least=0), NoEffect()] = 8
    """How often a server is asked again when a connection breaks or it answers 5xx or 429."""
    timeout: Annotated[float, Range(above=0), NoEffect()] = 30.0
    """Seconds of silence after which a server's answer counts as broken off."""
    shuffle: Literal["samples", "shards"] = "samples"
    """samples: any order of all samples, an epoch; shards: each position of the batch walks through
    shards of its own, so that a rank needs few of them at a time (for shards behind URLs)."""
    batch_size: Annotated[int, Range(least=1)] = 128
    """Images per optimizer step, over all ranks and accumulated micro-batches."""
    val_batch_size: Annotated[int, Range(least=1), NoEffect()] = 32
    """Images per rank and validation step."""
    workers: Annotated[int, Range(least=0), NoEffect()] = 4
    """Loader processes per rank; 0 decodes in the training process."""
    size: Annotated[int, Range(least=1)] = 256
    """Training images are scaled to size×size pixels, as in the paper (aspect is not kept)."""
    val_size: Annotated[int, Range(least=1)] = 256
    """Validation images keep their own size; those with a longer short side are scaled to it."""
    max_bad_share: Annotated[float, Range(least=0, most=1), NoEffect()] = 0.01
    """The run stops when more than this share of the images can't be decoded."""
    stages: Sequence[Callable[[Sample], Sample]] = ()
    """Callables sample → sample for training samples, between decoding and scaling. `image` is
    3×H×W uint8, `cls` an int; numpy.random.default_rng(sample["__seed__"]) draws the same numbers
    for a sample of an epoch, whatever the ranks and loader processes."""
