"""Settings of the configuration group `data`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from irodori.config.labels import NoEffect
from irodori.config.ranges import Range

Sample = dict[str, Any]
"""A webdataset sample: `__key__`, `__url__`, and its files by suffix."""


@dataclass(frozen=True)
class DataConfig:
    """Settings of the shards to read; `conf/data/shards.yaml` describes each key.

    `stages` are callables sample → sample, applied to training samples between decoding and
    scaling. `image` is 3×H×W uint8, `cls` an int. numpy.random.default_rng(sample["__seed__"])
    gives each sample of an epoch the same random numbers for any number of ranks and loader
    processes.
    """

    train: Annotated[str, NoEffect()]
    val: Annotated[str, NoEffect()]
    fold: Annotated[int | None, NoEffect()] = None
    val_seen: bool = False
    classes: Annotated[str | None, NoEffect()] = None
    cache: Annotated[str | None, NoEffect()] = "~/.cache/irodori"
    cache_gb: Annotated[float | None, Range(above=0), NoEffect()] = None
    retries: Annotated[int, Range(min=0), NoEffect()] = 8
    timeout: Annotated[float, Range(above=0), NoEffect()] = 30.0
    shuffle: Literal["samples", "shards"] = "samples"
    weights: Mapping[str, float] | None = None
    batch_size: Annotated[int, Range(min=1)] = 128
    val_batch_size: Annotated[int, Range(min=1), NoEffect()] = 32
    workers: Annotated[int | None, Range(min=0), NoEffect()] = None
    size: Annotated[int, Range(min=1)] = 256
    val_size: Annotated[int, Range(min=1)] = 256
    max_bad_share: Annotated[float, Range(min=0, max=1), NoEffect()] = 0.01
    stages: Sequence[Callable[[Sample], Sample]] = ()


@dataclass(frozen=True)
class Protocol:
    """Selection and size of the measured photographs.

    first: number of photographs, the first by name; None: all. square: crop the center square of
    each and scale it to this side in pixels. stretch: stretch each photograph to a square of this
    side. If both are None, photographs keep their size.

    Raises:
        ValueError: both are given.
    """

    name: str
    first: Annotated[int, Range(min=1)] | None = None
    square: Annotated[int, Range(min=1)] | None = None
    stretch: Annotated[int, Range(min=1)] | None = None

    def __post_init__(self) -> None:
        if self.square is not None and self.stretch is not None:
            raise ValueError("give square or stretch, not both")

    @property
    def side(self) -> int | None:
        """The side of the measured squares; None if photographs keep their size."""
        return self.square or self.stretch
