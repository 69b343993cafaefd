"""Settings of evaluate.py, which are checked before torch is imported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from irodori.config.ranges import Range
from irodori.data.config import Protocol


@dataclass(frozen=True)
class EvaluatedData:
    """Photographs that a checkpoint is evaluated on.

    name: `run` for the validation data of the checkpoint's run; any other name needs `val`. val:
    shards (path, glob, brace pattern or URL); None: the run's. fold: number of the run's training
    shard to evaluate on; None: the run's. classes: file with one class name per line; None: the
    run's, or the index's names. val_size: short side to which larger photographs are scaled; None:
    the run's, or 256. val_batch_size: images per rank and step; None: the run's, or 32. workers:
    loader processes per rank; None: the run's, or by the number of cores. For the others, see
    `irodori.data.config.DataConfig`.
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
    """Hardware of an evaluation; precision None: the run's, or auto."""

    accelerator: str = "auto"
    devices: Annotated[int, Range(min=1)] = 1
    num_nodes: Annotated[int, Range(min=1)] = 1
    precision: str | None = None


@dataclass(frozen=True)
class EvaluateSettings:
    """The root of conf/evaluate/evaluate.yaml.

    checkpoint: checkpoint of train.py, its run folder, or a folder of runs, of which the newest is
    used; the run's config.yaml, if any, is one folder above. predictions: folder with any method's
    pictures. truth: with `predictions`, folder with the true photographs under the same names.
    ab_prior: frequencies of ab bins for class-balanced AuC. perceptual: measure LPIPS and feature
    distances of sets if their weights are available. pictures: number of worst and of best
    photographs to show; 0: none. trust: packages whose classes may be used.
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
