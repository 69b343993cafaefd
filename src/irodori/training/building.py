"""From a configuration to its parts: data, module, callbacks and trainer."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.strategies import DDPStrategy

from irodori.color import Lab, color_space
from irodori.config import BackboneConfig, Config, TrainerConfig
from irodori.data.module import ShardData
from irodori.errors import IrodoriError
from irodori.freed_memory import give_back_at_once
from irodori.inference.checkpoint import Model
from irodori.metrics.prior import AbPrior
from irodori.network import JointNetwork
from irodori.network.blocks import use_winograd
from irodori.network.joint import PAPER
from irodori.network.timm_backbone import TimmBackbone
from irodori.training import report
from irodori.training.beginning import begin
from irodori.training.callbacks.bad_images import BadImages
from irodori.training.callbacks.buffers import SameBuffers
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.finite import FiniteLoss
from irodori.training.callbacks.lost_shards import LostShards
from irodori.training.callbacks.pictures import Pictures
from irodori.training.callbacks.progress import ImagesBar, Lines
from irodori.training.callbacks.random_states import RandomStates
from irodori.training.callbacks.scores import Scores
from irodori.training.callbacks.train_means import TrainMeans
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.hardware import Hardware
from irodori.training.module import Colorization, Learning
from irodori.training.objectives import make_objective, output_arguments
from irodori.training.optimizers import parameter_groups
from irodori.training.run_folder import CHECKPOINTS
from irodori.training.stopping import StopSignal
from irodori.training.synced_norms import SyncedNorms
from irodori.training.training_colors import training_mean_ab, training_prior


def build(config: Config, hardware: Hardware) -> tuple[ShardData, Colorization]:
    """Data and module of a configuration.

    Raises:
        IrodoriError: a setting is out of range or doesn't fit another.
    """
    if not 0 <= config.alpha < math.inf:
        raise IrodoriError(f"alpha={config.alpha} is not a number from 0 on")
    if config.alpha > 0 and not config.network.global_features:
        raise IrodoriError(
            "network.global_features=false has no scene classification: set alpha=0 with it"
        )
    space = color_space(config.color_space.name)
    data = ShardData(
        config.data,
        space,
        config.seed,
        config.trainer.accumulate,
        needs_labels=config.alpha > 0,
        nodes=config.trainer.num_nodes,
    )
    # Before other processes are started, which would wait for one that gives up.
    world_size = config.trainer.devices * config.trainer.num_nodes
    if data.plan(world_size, rank=0).micro_batch < 2:
        raise IrodoriError(
            f"data.batch_size={config.data.batch_size} leaves one image per rank and micro-batch,"
            " and batch norm needs two"
        )
    check_backbone(config.backbone)
    if config.objective.name == "classes" and not isinstance(space, Lab):
        raise IrodoriError(
            f"objective=classes has bins of a*b* and goes with color_space=lab, not {space!r}"
        )
    try:
        network = JointNetwork(
            len(data.classes),
            space.chroma_channels,
            width=config.network.width,
            fusion=config.network.fusion,
            global_features=config.network.global_features,
            backbone=config.backbone.name,
            decoder=config.decoder.name,
            **output_arguments(config.objective),
        )
        if isinstance(network.backbone, TimmBackbone):
            network.backbone.leave_out_unused()
            # Before the run has a folder.
            parameter_groups(network, config.optimizer, config.backbone)
    except ValueError as error:
        raise IrodoriError(str(error)) from None
    if hardware.channels_last:
        network = network.to(memory_format=torch.channels_last)
    if hardware.winograd:
        use_winograd(network)
    if hardware.accelerator == "cpu":
        give_back_at_once()
    mean_ab = training_mean_ab(data.train_data)
    model = Model(network, space, data.classes, config.alpha, mean_ab)
    beginning = begin(model, config)
    objective = make_objective(
        config.objective, network.output, lambda: training_prior(data.train_data)
    )
    trainer = config.trainer
    learning = Learning(
        objective, config.optimizer, config.backbone, trainer.recompute, trainer.compile
    )
    return data, Colorization(model, learning, beginning)


def check_backbone(config: BackboneConfig) -> None:
    """Raise IrodoriError for settings that the paper's backbone has no use for."""
    plain = BackboneConfig(config.name)
    for field in fields(config):
        value = getattr(config, field.name)
        if config.name == PAPER and value != getattr(plain, field.name):
            raise IrodoriError(
                f"backbone.{field.name}={str(value).lower()} is for encoders of timm, and"
                " backbone=paper has none: leave it out, or choose a backbone"
            )


def make_callbacks(
    config: Config, data: ShardData, folder: Path, files: WholeFiles, stop: StopSignal
) -> list[Callback]:
    """The run's callbacks, in the order in which they are called."""
    settings = config.trainer
    plan = data.plan(settings.devices * settings.num_nodes, rank=0)
    prior = AbPrior.load(Path(config.ab_prior))
    watchers = (
        LostShards(),
        BadImages(config.data.max_bad_share, plan.batches * plan.micro_batch),
        FiniteLoss(folder),
    )
    callbacks: list[Callback] = [
        Scores(data.classes, prior),
        RandomStates(),
        TrainMeans(),
        *watchers,
        Checkpoints(
            folder / CHECKPOINTS,
            settings.checkpoint_steps,
            settings.checkpoint_minutes,
            files,
            stop,
            watchers,
        ),
    ]
    if settings.progress:
        callbacks.append(Lines(config.data.batch_size))
        if report.CONSOLE.is_terminal:
            callbacks.append(ImagesBar(config.data.batch_size // settings.accumulate))
    if settings.pictures:
        callbacks.append(Pictures(data.val_data, settings.pictures, folder / "pictures"))
    if settings.ema_decay is not None:
        if not 0 < settings.ema_decay < 1:
            raise IrodoriError(f"trainer.ema_decay={settings.ema_decay} is not between 0 and 1")
        callbacks.append(EMAWeightAveraging(decay=settings.ema_decay))
    return [*callbacks, SameBuffers()]


def make_trainer(
    config: Config, hardware: Hardware, callbacks: list[Callback], files: WholeFiles
) -> Trainer:
    """Lightning's trainer for the hardware; `files` writes its checkpoints."""
    settings = config.trainer
    if hardware.accelerator == "gpu":
        torch.set_float32_matmul_precision("high")
    return Trainer(
        accelerator=hardware.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=strategy(settings),
        precision="bf16-mixed" if hardware.bf16 else "32-true",
        max_epochs=settings.max_epochs,
        max_steps=settings.max_steps,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip_norm,
        check_val_every_n_epoch=settings.validate_every,
        log_every_n_steps=settings.log_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        callbacks=callbacks,
        plugins=[files, *([SyncedNorms()] if settings.sync_batchnorm else [])],
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(callback, ImagesBar) for callback in callbacks),
        enable_model_summary=False,
    )


def strategy(settings: TrainerConfig) -> Any:
    """DDP for more than one process: gradients live in the buckets that are reduced."""
    if settings.devices * settings.num_nodes == 1:
        return "auto"
    return DDPStrategy(gradient_as_bucket_view=True)
