"""Building data, module, callbacks and trainer from a configuration."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, LambdaCallback, WeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig
from torch import nn

from irodori.config.instantiate import instantiate
from irodori.data.module import ShardData
from irodori.data.prior import training_mean_ab, training_prior
from irodori.data.protocol import shard_identities
from irodori.inference.colorizer import STARTER
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import CONSOLE
from irodori.model import Model
from irodori.network import JointNetwork
from irodori.network.joint import freeze_unused
from irodori.runs.run import Run
from irodori.training.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from irodori.training.callbacks.progress import BatchPrinter, ImagesBar
from irodori.training.callbacks.rank_states import RandomStates, TrainMeans
from irodori.training.callbacks.watchers import FiniteLoss, ReadErrors
from irodori.training.final_evaluation import ValidationMetrics
from irodori.training.hardware import Hardware, world_size
from irodori.training.initialization import initialize_encoder, load_matching_weights
from irodori.training.module import ColorizationModule
from irodori.training.objectives import Objective
from irodori.training.optimizers import needs_steps
from irodori.training.stopping import StopSignal
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.progress import ProgressLines, Reporter, silent

NOT_YET = (math.nan, math.nan)
"""Placeholder of the mean a* and b* until `ColorizationModule.complete_model` computes them."""
LOGGERS = ("lightning.pytorch", "lightning.fabric")
MEANT = (
    ".*does not have many workers.*",
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*GPU available but not used.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*before the ``update`` method.*",
    ".*isinstance.treespec, LeafSpec.*",
    # Metrics of an epoch are already the same on all ranks.
    ".*sync_dist=True.*",
    # The run stops with a more detailed message.
    "Encountered `nan` values in tensor.*",
    # For 1×1 kernels, the strides of both layouts are equivalent.
    "Grad strides do not match bucket view strides.*",
)


def build_data(config: DictConfig) -> ShardData:
    """Build the data of a configuration; raise IrodoriError for incompatible settings."""
    data = ShardData(
        instantiate(config.data),
        instantiate(config.color_space),
        instantiate(config.augmentation),
        seed=config.seed,
        accumulate=config.trainer.accumulate_grad_batches,
        needs_labels=config.alpha > 0,
        nodes=config.trainer.num_nodes,
        hints=instantiate(config.hints) if config.network.hints else None,
    )
    # Checked before other processes are started, which would wait for a failed one.
    if data.plan(world_size(config.trainer), rank=0).micro_batch < 2:
        raise IrodoriError(
            f"data.batch_size={config.data.batch_size} leaves one image per rank and micro-batch,"
            " and batch norm needs two"
        )
    return data


def build_module(config: DictConfig, data: ShardData, new: bool) -> ColorizationModule:
    """Build the module of a configuration; `new` is False if a checkpoint will be loaded.

    Raises:
        IrodoriError: settings are incompatible, or weights are unavailable.
    """
    optimizer, scheduler = instantiate(config.optimizer), instantiate(config.scheduler)
    try:
        # Settings out of range are rejected before anything slow.
        optimizer([{"params": [nn.Parameter(torch.zeros(1))]}])
    except (ValueError, TypeError, RuntimeError) as error:
        raise IrodoriError(f"optimizer: {one_line(error)}") from None
    unlimited = (-1, None)
    if (
        needs_steps(scheduler)
        and config.trainer.max_epochs in unlimited
        and config.trainer.max_steps in unlimited
    ):
        raise IrodoriError(
            "this scheduler needs the number of steps, which trainer.max_time leaves open: set"
            " trainer.max_epochs or trainer.max_steps, or scheduler=constant"
        )
    objective: Objective = instantiate(config.objective)
    network: JointNetwork = instantiate(
        config.network,
        num_classes=len(data.classes),
        chroma_channels=data.color_space.chroma_channels,
    )
    if world_size(config.trainer) > 1:
        freeze_unused(network)
    network = network.to(memory_format=torch.channels_last)
    trained_on = shard_identities(data.train_index)
    model = Model(network, data.color_space, data.classes, config.alpha, NOT_YET, trained_on)
    encoder = instantiate(config.encoder)
    lines = initialize_encoder(model, encoder, load=new)
    if config.init is not None and new:
        checkpoint = STARTER if config.init == "starter" else Path(config.init)
        line, seen = load_matching_weights(model, checkpoint)
        lines.append(line)
        new_shards = [shard for shard in trained_on if shard not in seen]
        model = replace(model, trained_on=(*seen, *new_shards))
    objective.setup(network, data.color_space, lambda: training_prior(data.train_samples))
    return ColorizationModule(
        model,
        objective,
        optimizer,
        scheduler,
        encoder,
        config.compile,
        lines,
        partial(training_mean_ab, data.train_samples),
    )


def build_callbacks(run: Run, data: ShardData, stop: StopSignal) -> list[Callback]:
    """Build the run's callbacks, in the order of their calls."""
    config = run.config
    plan = data.plan(world_size(config.trainer), rank=0)
    configured = [instantiate(node) for node in config.callbacks.values() if node]
    # At the end of a validation an average of weights is taken away again: others look before.
    configured.sort(key=lambda callback: isinstance(callback, WeightAveraging))
    for callback in configured:
        if isinstance(callback, Checkpoints):
            callback.stop = stop
    report: Reporter = silent
    if not config.trainer.enable_progress_bar:
        configured = [c for c in configured if not isinstance(c, ImagesBar)]
    elif not CONSOLE.is_terminal:
        configured = [BatchPrinter() if isinstance(c, ImagesBar) else c for c in configured]
        report = ProgressLines()
    metrics = {name: instantiate(node) for name, node in config.metrics.items() if node}

    def update_folder(trainer: Trainer, _: Any) -> None:
        if run.resumed and trainer.is_global_zero:
            run.update_folder(trainer.global_step)

    def start_loggers(trainer: Trainer, _: Any, __: Any, batch: int) -> None:
        # W&B takes seconds to start, which must not delay the first step.
        for logger in trainer.loggers if batch > 0 else ():
            if hasattr(logger, "start"):
                logger.start()

    return [
        ValidationMetrics(
            data.classes, AbPrior.load(Path(config.ab_prior)), metrics, report=report
        ),
        RandomStates(),
        TrainMeans(),
        ReadErrors(data.config.max_bad_share, plan.batches * plan.micro_batch),
        FiniteLoss(),
        *configured,
        # After the checkpoint is loaded, so that an incompatible change doesn't modify the folder.
        LambdaCallback(on_train_start=update_folder, on_train_batch_start=start_loggers),
    ]


def build_trainer(
    node: DictConfig,
    hardware: Hardware,
    callbacks: list[Callback],
    folder: Path,
    temporarily_frozen: bool = False,
) -> Trainer:
    """Build Lightning's trainer from the configuration group `trainer`.

    `temporarily_frozen`: whether some weights get gradients only later, which DDP must know.
    """
    if hardware.accelerator in ("gpu", "cuda"):
        torch.set_float32_matmul_precision("high")
    plugins: list[Any] = [AtomicCheckpointIO()]
    if node.sync_batchnorm:
        # timm is imported only if needed, since it takes seconds.
        from irodori.training.synced_norms import SyncedNorms

        plugins.append(SyncedNorms())
    strategy = node.strategy
    if isinstance(strategy, DictConfig):
        strategy = instantiate(strategy)
    if strategy == "auto" and world_size(node) > 1:
        # Gradients are views of DDP's buckets.
        strategy = DDPStrategy(
            gradient_as_bucket_view=True, find_unused_parameters=temporarily_frozen
        )
    trainer: Trainer = instantiate(
        node,
        accelerator=hardware.accelerator,
        precision=hardware.precision,
        strategy=strategy,
        callbacks=callbacks,
        plugins=plugins,
        logger=False,
        default_root_dir=str(folder),
        enable_progress_bar=any(isinstance(callback, ImagesBar) for callback in callbacks),
        # Additional checkpoints by Lightning's own callback.
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )
    return trainer


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Ignore the warnings in `MEANT`, and Lightning's log below errors, within the block."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        for message in MEANT:
            warnings.filterwarnings("ignore", message)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
