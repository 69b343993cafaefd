"""A checkpoint on shards: by the run's own validation, so that figures are the same bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from irodori.checks import typed
from irodori.config import (
    RUN_CONFIG,
    Config,
    DataConfig,
    EvaluateConfig,
    EvaluatedDataConfig,
    ProtocolConfig,
    TrainerConfig,
)
from irodori.data.base import ShardModule, storage
from irodori.data.both import open_both
from irodori.data.folders import Folders
from irodori.data.images import to_middle_square, to_short_side
from irodori.data.index import Index
from irodori.data.opening import index_of
from irodori.data.workers import end_workers
from irodori.errors import IrodoriError
from irodori.evaluation.extremes import Photographs
from irodori.inference.checkpoint import Model, load_model
from irodori.inference.coloring import color_pictures
from irodori.inference.sheet import gray_of
from irodori.metrics.prior import AbPrior
from irodori.training.building import make_trainer
from irodori.training.callbacks.bad_images import BadImages
from irodori.training.callbacks.lost_shards import LostShards
from irodori.training.callbacks.scores import Scores
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.figures import Judged
from irodori.training.hardware import choose
from irodori.training.launch import quieten
from irodori.training.module import Colorization
from irodori.training.protocol import of_shards
from irodori.training.ranks import end_started, gather
from irodori.training.resume import stored_config


def measure_checkpoint(
    config: EvaluateConfig, prior: AbPrior
) -> tuple[Judged, dict[str, Any], Photographs]:
    """Measure a checkpoint.

    Returns:
        the figures, the protocol, and the photographs.

    Raises:
        IrodoriError: the checkpoint, the shards or the hardware don't allow it.
    """
    quieten()
    assert config.checkpoint is not None
    path = Path(config.checkpoint)
    model = load_model(path)
    run = run_of(path)
    settings = trainer_config(config, run)
    hardware = choose(settings)
    if hardware.channels_last:
        model.network.to(memory_format=torch.channels_last)
    data = shards(config, run, model)
    module = Colorization(model)
    scores = Scores(model.classes, prior, config.perceptual)
    bad = BadImages(config.data.max_bad_share, epoch_images=len(data.val_index))
    lost = LostShards()
    trainer = make_trainer(Config(trainer=settings), hardware, [lost, bad, scores], WholeFiles())
    failed = True
    try:
        trainer.validate(module, data, verbose=False)
        reasons = sorted({reason for reason in gather(lost.lost) if reason is not None})
        failed = bool(reasons)
    finally:
        end_workers()
        end_started(trainer, failed)
    if reasons:
        raise IrodoriError(f"{'; '.join(reasons)}: give the command again when it can be had")
    protocol = of_shards(data, config.protocol, model, prior)
    protocol["checkpoint"] = str(path)
    judged = Judged(scores.overall, scores.scenes, scores.records)
    return judged, protocol, looked_at(judged, data, model, trainer)


def run_of(checkpoint: Path) -> Config | None:
    """The configuration of the run that a checkpoint lies in the folder of, if it does.

    Raises:
        IrodoriError: the configuration is damaged.
    """
    folder = checkpoint.resolve().parent.parent
    return typed(stored_config(folder)) if (folder / RUN_CONFIG).is_file() else None


def trainer_config(config: EvaluateConfig, run: Config | None) -> TrainerConfig:
    """What the evaluation runs on: as asked for, else as the run."""
    asked = config.trainer
    like = run.trainer if run else TrainerConfig()
    return TrainerConfig(
        accelerator=asked.accelerator,
        devices=asked.devices,
        num_nodes=asked.num_nodes,
        precision=asked.precision or like.precision,
        memory_format=asked.memory_format or like.memory_format,
        max_epochs=1,
        progress=False,
    )


def data_config(asked: EvaluatedDataConfig, run: DataConfig | None) -> DataConfig:
    """Where the photographs come from: as asked for, else as the run validated.

    Raises:
        IrodoriError: nothing says where.
    """
    given = {field.name: getattr(asked, field.name) for field in fields(asked)}
    name = given.pop("name")
    # Of the others null is a value of its own: data.cache=null keeps no shard.
    as_run = {"val", "fold", "classes", "val_size", "val_batch_size", "workers"}
    given = {key: x for key, x in given.items() if x is not None or key not in as_run}
    if name != "run" and "val" not in given:
        raise IrodoriError(f'data={name} needs data.val="…"')
    if "val" in given:
        given["train"], given["fold"] = given["val"], asked.fold
    elif run is None:
        raise IrodoriError(
            "the checkpoint lies in no run folder, whose photographs it could be evaluated on:"
            ' give data=shards data.val="…"'
        )
    return replace(run or DataConfig(), **given)


def shards(config: EvaluateConfig, run: Config | None, model: Model) -> ShardModule:
    """The photographs that the protocol names.

    Raises:
        IrodoriError: the shards can't be had, or there are too few photographs.
    """
    chosen = data_config(config.data, run.data if run else None)
    if config.data.val is not None and config.data.fold is None:
        index = index_of(chosen.val, chosen.classes, Folders(*storage(chosen)))
    else:
        index = open_both(chosen)[1]
    index = Index(with_classes(index, model.classes).shards, model.classes, index.made_by)
    resize: Callable[[Tensor], Tensor] = partial(to_short_side, size=chosen.val_size)
    if config.protocol.square is not None:
        resize = partial(to_middle_square, size=config.protocol.square)
    return ShardModule(chosen, first_by_name(index, config.protocol), resize)


def first_by_name(index: Index, protocol: ProtocolConfig) -> Index:
    """The photographs that a protocol judges.

    Raises:
        IrodoriError: there are fewer.
    """
    if protocol.first is None:
        return index
    keys = [key for shard in index.shards for key in shard.keys]
    if len(keys) < protocol.first:
        raise IrodoriError(
            f"protocol={protocol.name} judges the first {protocol.first} photographs, and there are"
            f" {len(keys)}: name the whole set, or set protocol.first={len(keys)}"
        )
    return index.take(sorted(range(len(keys)), key=keys.__getitem__)[: protocol.first])


def with_classes(index: Index, classes: Sequence[str]) -> Index:
    """The index with its labels as places in the model's classes; those that it lacks become −1.

    Says so in a line where that is not all the same.
    """
    names, known = index.classes, {name: number for number, name in enumerate(classes)}
    numbers = tuple(map(str, range(len(names))))
    if names == tuple(classes) or (names == numbers and len(names) <= len(classes)):
        return index
    missing = [name for name in names if name not in known]
    if missing and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        print(
            f"{len(missing)} of {len(names)} scenes of these shards are none of the network's"
            f" ({missing[0]}, …): their photographs have no part in scene accuracy",
            flush=True,
        )
    # The last place is for photographs without a class: −1.
    places = np.array([*(known.get(name, -1) for name in names), -1], np.int32)
    shards = [replace(shard, labels=places[shard.labels]) for shard in index.shards]
    return Index(tuple(shards), tuple(classes), index.made_by)


def looked_at(
    judged: Judged, data: ShardModule, model: Model, trainer: Trainer
) -> Photographs:
    """The photographs in the order of the records, to be coloured once more."""
    index = data.val_index
    keys = [key for shard in index.shards for key in shard.keys]
    names = [f"{shard.name}: {key}" for shard in index.shards for key in shard.keys]
    judged_keys = [record["key"] for record in judged.records if record["row"] == "model"]
    # Damaged ones are left out of the records, which are in the order of the index.
    samples, sample = [], 0
    for key in judged_keys:
        while keys[sample] != key:
            sample += 1
        samples.append(sample)
        sample += 1
    device = trainer.strategy.root_device

    def picture(number: int) -> Sequence[Tensor]:
        true = data.val_resize(data.val_samples.image(samples[number])).to(device)
        with trainer.precision_plugin.forward_context():
            colored, _ = color_pictures(model.network.to(device).eval(), model.space, [true])
        return gray_of(model.space, true), colored[0], true

    return Photographs([names[sample] for sample in samples], picture)
