"""The group `data` of the configuration: which shards are read, and how."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from irodori.config.ranges import Range

Sample = dict[str, Any]
"""A sample as webdataset yields it: `__key__`, `__url__`, and its files by their suffixes."""


@dataclass(frozen=True)
class DataConfig:
    """Which shards are read, and how; `conf/data/shards.yaml` describes each of these.

    `stages` are callables sample → sample for training samples, between decoding and scaling.
    `image` is 3×H×W uint8, `cls` an int; numpy.random.default_rng(sample["__seed__"]) draws the
    same numbers for a sample of an epoch, whatever the ranks and loader processes.
    """

    train: str
    val: str
    fold: int | None = None
    val_seen: bool = False
    classes: str | None = None
    cache: str | None = "~/.cache/irodori"
    cache_gb: Annotated[float | None, Range(above=0)] = None
    retries: Annotated[int, Range(least=0)] = 8
    timeout: Annotated[float, Range(above=0)] = 30.0
    shuffle: Literal["samples", "shards"] = "samples"
    batch_size: Annotated[int, Range(least=1)] = 128
    val_batch_size: Annotated[int, Range(least=1)] = 32
    workers: Annotated[int, Range(least=0)] = 4
    size: Annotated[int, Range(least=1)] = 256
    val_size: Annotated[int, Range(least=1)] = 256
    max_bad_share: Annotated[float, Range(least=0, most=1)] = 0.01
    stages: Sequence[Callable[[Sample], Sample]] = ()
