"""Evaluating a checkpoint by the validation code of training, with bit-identical metrics."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from irodori.config import CONF
from irodori.config.check import check
from irodori.config.instantiate import instantiate
from irodori.config.trust import refuse_untrusted
from irodori.data.config import DataConfig
from irodori.data.index import Index
from irodori.data.loader import end_workers
from irodori.data.module import ShardModule
from irodori.data.opening import ShardOpener, open_both
from irodori.data.protocol import first_by_name, protocol_of, resize_of
from irodori.evaluation.extremes import Show
from irodori.evaluation.settings import EvaluatedData, EvaluateSettings
from irodori.inference.colorizer import STARTER
from irodori.inference.contact_sheet import gray_of
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import EvaluationResult
from irodori.model import Model, color_pictures, load_model
from irodori.runs.resume import stored_config
from irodori.training.building import build_trainer, quiet_lightning
from irodori.training.callbacks.watchers import ReadErrors
from irodori.training.final_evaluation import ValidationMetrics
from irodori.training.hardware import choose_hardware
from irodori.training.module import ColorizationModule
from irodori.training.ranks import end_child_ranks
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import ProgressLines, waiting
from irodori.utils.run_files import CONFIG, checkpoint_file

TRAINER = CONF / "trainer" / "default.yaml"


@quiet_lightning()
def measure_checkpoint(
    config: EvaluateSettings, prior: AbPrior
) -> tuple[EvaluationResult, dict[str, Any], Show]:
    """Evaluate a checkpoint.

    Returns:
        The metrics, the protocol, and a function that shows the photographs.

    Raises:
        IrodoriError: the checkpoint, the shards or the hardware are unsuitable.
    """
    assert config.checkpoint is not None
    path = STARTER if config.checkpoint == "starter" else checkpoint_file(Path(config.checkpoint))
    with waiting(f"reading {path} and the photographs", log=True):
        model = load_model(path, config.trust)
        run = run_of(path, config.trust)
        settings = trainer_node(config, run)
        hardware = choose_hardware(settings)
        model.network.to(memory_format=torch.channels_last)
        data = shards(config, run, model)
    module = ColorizationModule(model)
    measured = ValidationMetrics(
        model.classes, prior, config.metrics, config.perceptual, ProgressLines()
    )
    errors = ReadErrors(config.data.max_bad_share, epoch_images=len(data.val_index))
    trainer = build_trainer(settings, hardware, [errors, measured], Path.cwd())
    failed = True
    try:
        trainer.validate(module, data, verbose=False)
        failed = False
    finally:
        end_workers()
        end_child_ranks(trainer, failed)
    samples = sum(record["row"] == "model" for record in measured.result.records)
    protocol = protocol_of(data, config.protocol, model, prior, samples)
    protocol["checkpoint"] = str(path.absolute())
    return measured.result, protocol, shown(measured.result, data, model, trainer)


def run_of(checkpoint: Path, trust: Sequence[str] = ()) -> DictConfig | None:
    """Return the configuration of the run that a checkpoint belongs to; None without a run folder.

    Raises:
        IrodoriError: the configuration is damaged, or names classes that aren't trusted.
    """
    folder = checkpoint.resolve().parent.parent
    if not (folder / CONFIG).is_file():
        return None
    run = stored_config(folder)
    # Only its data are instantiated.
    built = {"data": run.data}
    refuse_untrusted(built, trust)
    check(built)
    return run


def trainer_node(config: EvaluateSettings, run: DictConfig | None) -> DictConfig:
    """Return the group `trainer` of the evaluation, with the run's values as defaults."""
    precision = config.trainer.precision or (run.trainer.precision if run else "auto")
    asked = {**asdict(config.trainer), "precision": precision}
    node = OmegaConf.merge(OmegaConf.load(TRAINER), asked)
    assert isinstance(node, DictConfig)
    return node


def data_config(asked: EvaluatedData, run: DataConfig | None) -> DataConfig:
    """Return the settings of the photographs, with the run's validation data as default.

    Raises:
        IrodoriError: neither names any photographs.
    """
    given = asdict(asked)
    name = given.pop("name")
    # For other keys null is a regular value: data.cache=null disables the cache.
    as_run = {"val", "fold", "classes", "val_size", "val_batch_size", "workers"}
    given = {key: x for key, x in given.items() if x is not None or key not in as_run}
    if name != "run" and "val" not in given:
        raise IrodoriError(f'data={name} needs data.val="…"')
    if "val" in given:
        given["train"], given["fold"] = given["val"], asked.fold
    elif run is None:
        raise IrodoriError(
            "the checkpoint is not in a run folder with photographs to evaluate on:"
            ' give data=shards data.val="…"'
        )
    return replace(run, **given) if run else DataConfig(**given)


def shards(config: EvaluateSettings, run: DictConfig | None, model: Model) -> ShardModule:
    """Return the data module of the protocol's photographs.

    Raises:
        IrodoriError: the shards are unavailable, or there are too few photographs.
    """
    chosen = data_config(config.data, instantiate(run.data) if run else None)
    index = with_classes(opened(config.data, chosen), model.classes)
    if config.protocol.first is not None:
        keys = [key for shard in index.shards for key in shard.keys]
        index = index.take(first_by_name(config.protocol, keys, "there are"))
    return ShardModule(chosen, index, resize_of(config.protocol, chosen.val_size))


def opened(asked: EvaluatedData, chosen: DataConfig) -> Index:
    """Return the index of the photographs to evaluate on; `chosen` is that of `data_config`.

    Raises:
        IrodoriError: the shards are unavailable.
    """
    if asked.val is not None and asked.fold is None:
        return ShardOpener.of(chosen).open(chosen.val, chosen.classes)
    return open_both(chosen)[1]


def with_classes(index: Index, classes: Sequence[str]) -> Index:
    """Return the index with labels mapped to the model's classes, and −1 for unknown ones.

    Prints a warning if some classes are unknown.
    """
    names, known = index.classes, {name: number for number, name in enumerate(classes)}
    numbers = tuple(map(str, range(len(names))))
    if names == tuple(classes) or (names == numbers and len(names) <= len(classes)):
        return replace(index, classes=tuple(classes))
    missing = [name for name in names if name not in known]
    if missing and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        print(
            f"{len(missing)} of {len(names)} scenes of these shards are unknown to the network"
            f" ({missing[0]}, …): their photographs are excluded from scene accuracy",
            flush=True,
        )
    # The last entry maps photographs without a class (−1).
    label_of = np.array([*(known.get(name, -1) for name in names), -1], np.int32)
    shards = [replace(shard, labels=label_of[shard.labels]) for shard in index.shards]
    return replace(index, shards=tuple(shards), classes=tuple(classes))


def shown(result: EvaluationResult, data: ShardModule, model: Model, trainer: Trainer) -> Show:
    """Return what colorizes a photograph of the records once more."""
    # The records are in the order of the index, without damaged photographs.
    left = enumerate(key for shard in data.val_index.shards for key in shard.keys)
    samples = [
        next(sample for sample, key in left if key == record["key"])
        for record in result.records
        if record["row"] == "model"
    ]
    device = trainer.strategy.root_device

    def picture(number: int) -> Sequence[Tensor]:
        true = data.val_resize(data.val_samples.image(samples[number])).to(device)
        with trainer.precision_plugin.forward_context():
            colored, _ = color_pictures(model.network.to(device).eval(), model.space, [true])
        return gray_of(model.space, true), colored[0], true

    return picture
