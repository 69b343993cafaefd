"""The configuration of evaluate.py; checked before torch is imported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from irodori.config.ranges import Range


@dataclass(frozen=True)
class EvaluatedData:
    """Settings of the photographs that a checkpoint is evaluated on.

    name: `run`: what the checkpoint's run was validated on; any other needs `val`. val: shards, a
    path, glob, brace pattern or URL; None: the run's own. fold: of the shards that the run was
    trained on, the one to evaluate on; None: the run's own. classes: a file with one class name a
    line; None: the run's own, or the index's names. val_size: photographs with a longer short side
    are scaled to it; None: as the run, or 256. val_batch_size: images per rank and step; None: as
    the run, or 32. workers: loader processes per rank; None: as the run, or as cores allow. The
    others: see `irodori.data.config.DataConfig`.
    """

    name: str
    val: str | None = None
    fold: int | None = None
    classes: str | None = None
    val_size: Annotated[int, Range(min=1)] | None = None
    val_batch_size: Annotated[int, Range(min=1)] | None = None
    workers: Annotated[int, Range(min=0)] | None = None
    cache: str | None = "~/.cache/irodori"
    cache_gb: Annotated[float, Range(above=0)] | None = None
    retries: Annotated[int, Range(min=0)] = 8
    timeout: Annotated[float, Range(above=0)] = 30.0
    max_bad_share: Annotated[float, Range(min=0, max=1)] = 0.01


@dataclass(frozen=True)
class EvaluatedTrainer:
    """Settings of an evaluation's hardware; precision None: as the run, or auto."""

    accelerator: str = "auto"
    devices: Annotated[int, Range(min=1)] = 1
    num_nodes: Annotated[int, Range(min=1)] = 1
    precision: str | None = None


@dataclass(frozen=True)
class Protocol:
    """Settings of which photographs are measured, and at what size.

    first: only so many photographs, the first by name; None: all. square: the middle square of
    each is cut out and scaled to this side in pixels. stretch: each whole photograph is stretched
    to a square of this side. Both None: photographs keep their size.

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
        """The side of the squares that are measured; None: photographs keep their size."""
        return self.square or self.stretch


@dataclass(frozen=True)
class EvaluateSettings:
    """The root of conf/evaluate/evaluate.yaml.

    checkpoint: a checkpoint of train.py, its run folder, or a folder of runs, of which the newest
    is taken; its run's config.yaml lies one folder above, if it is there. predictions: a folder
    with any method's pictures. truth: with `predictions`, the folder with the true photographs,
    under the same names. ab_prior: frequencies of ab bins that class-balanced AuC is weighted by.
    perceptual: measure LPIPS, and distances of sets by features, where their weights are at hand.
    pictures: how many of the worst and of the best photographs are shown; 0: none. trust: packages
    whose classes may be used.
    """

    ab_prior: str
    data: EvaluatedData
    protocol: Protocol
    trainer: EvaluatedTrainer
    checkpoint: str | None = None
    predictions: str | None = None
    truth: str | None = None
    perceptual: bool = True
    pictures: Annotated[int, Range(min=0)] = 6
    trust: Sequence[str] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
