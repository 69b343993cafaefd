"""One training run, from a composed configuration to its run folder."""

import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf

from irodori.color import color_space
from irodori.config import Config, TrainerConfig
from irodori.data.module import ShardData
from irodori.errors import IrodoriError
from irodori.inference.checkpoint import Model
from irodori.network import JointNetwork
from irodori.training import report
from irodori.training.callbacks.bad_images import BadImages
from irodori.training.callbacks.pictures import Pictures
from irodori.training.callbacks.progress import ImagesBar, Lines
from irodori.training.callbacks.scores import Scores, training_mean_ab
from irodori.training.hardware import Hardware, choose
from irodori.training.loggers import make_loggers
from irodori.training.module import Colorization


def train(
    config: Config,
    composed: DictConfig,
    folder: Path,
    overrides: list[str],
) -> None:
    """Train as configured, fill the run folder, and print its path as the last line.

    Args:
        config: the configuration.
        composed: the same as Hydra composed it, to be written down.
        folder: the run folder.
        overrides: what the user set, the run's name on W&B.

    Raises:
        IrodoriError: the configuration, the data or the hardware doesn't allow it.
    """
    quieten()
    hardware = choose(config.trainer)
    if config.trainer.max_epochs < 0 and config.trainer.max_steps < 0:
        raise IrodoriError("set trainer.max_epochs or trainer.max_steps, or training never ends")
    seed_everything(config.seed, workers=True, verbose=False)
    data, module = build(config, hardware)
    callbacks = make_callbacks(config, data, folder)
    settings: Any = OmegaConf.to_container(composed, resolve=True)
    trainer = make_trainer(config, hardware, callbacks)
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(composed, resolve=True))
        report.start(module.model, data, hardware, trainer.world_size)
        trainer.loggers = make_loggers(
            config.logger,
            folder,
            settings,
            name=" ".join([config.experiment_name, *overrides]),
            flush_every=config.trainer.log_every,
        )
    failed = True
    try:
        start = time.perf_counter()
        trainer.fit(module, data)
        seconds = time.perf_counter() - start
        # Under torchrun each rank has composed a run folder of its own; rank 0's is the one.
        folder = Path(trainer.strategy.broadcast(str(folder)))
        result = evaluate(trainer, module, data, folder / "checkpoints")
        if trainer.is_global_zero:
            result["training"] = {
                "seconds": round(seconds, 1),
                "epochs": trainer.current_epoch,
                "steps": trainer.global_step,
            }
            (folder / "metrics.json").write_text(json.dumps(result, indent=2) + "\n")
            report.end(result)
            print(f"run: {folder}", flush=True)
        failed = False
    except SystemExit:
        # Lightning's answer to Ctrl-C.
        raise IrodoriError(f"interrupted; what was reached is in {folder}") from None
    finally:
        close(trainer, folder, failed)


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
        config.data, space, config.seed, config.trainer.accumulate, needs_labels=config.alpha > 0
    )
    # Before other processes are started, which would wait for one that gives up.
    world_size = config.trainer.devices * config.trainer.num_nodes
    if data.plan(world_size, rank=0).micro_batch < 2:
        raise IrodoriError(
            f"data.batch_size={config.data.batch_size} leaves one image per rank and micro-batch,"
            " and batch norm needs two"
        )
    try:
        network = JointNetwork(
            len(data.classes),
            space.chroma_channels,
            width=config.network.width,
            fusion=config.network.fusion,
            global_features=config.network.global_features,
            backbone=config.backbone.name,
        )
    except ValueError as error:
        raise IrodoriError(str(error)) from None
    if hardware.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return data, Colorization(Model(network, space, data.classes, config.alpha), config.optimizer)


def make_callbacks(config: Config, data: ShardData, folder: Path) -> list[Callback]:
    """The run's callbacks."""
    settings = config.trainer
    callbacks: list[Callback] = [
        Scores(data.classes, training_mean_ab(data.train_data)),
        BadImages(config.data.max_bad_share),
        ModelCheckpoint(
            folder / "checkpoints",
            filename="best",
            monitor="val/chroma_rmse",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        ),
        ModelCheckpoint(
            folder / "checkpoints",
            filename="last",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
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
    return callbacks


def make_trainer(config: Config, hardware: Hardware, callbacks: list[Callback]) -> Trainer:
    """Lightning's trainer for the hardware."""
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
        sync_batchnorm=settings.sync_batchnorm,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        callbacks=callbacks,
        enable_progress_bar=any(isinstance(callback, ImagesBar) for callback in callbacks),
        enable_model_summary=False,
    )


def strategy(settings: TrainerConfig) -> Any:
    """DDP for more than one process: gradients live in the buckets that are reduced."""
    if settings.devices * settings.num_nodes == 1:
        return "auto"
    return DDPStrategy(gradient_as_bucket_view=True)


def evaluate(
    trainer: Trainer, module: Colorization, data: ShardData, checkpoints: Path
) -> dict[str, Any]:
    """The validation figures of the last and of the best checkpoint (see `report.metrics`)."""
    # At its end a validation would bring back the weights that aren't averaged; checkpoints hold
    # the average.
    trainer.callbacks = [  # type: ignore[attr-defined]
        callback
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if not isinstance(callback, EMAWeightAveraging)
    ]
    last = validate(trainer, module, data, checkpoints / "last.ckpt")
    best_path = checkpoints / "best.ckpt"
    # Rank 0 decides: it may have written the file before another rank looks.
    if not trainer.strategy.broadcast(best_path.exists()):
        # Training ended before the first validation: the last is the only one there is.
        trainer.save_checkpoint(best_path)
    best = validate(trainer, module, data, best_path)
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Pictures):
            callback.write(trainer, module, "best.png")
    return report.metrics(best, last, data)


def validate(
    trainer: Trainer, module: Colorization, data: ShardData, checkpoint: Path
) -> dict[str, Any]:
    """The figures of a checkpoint: what `Scores` holds, and the accuracy."""
    trainer.validate(module, data, ckpt_path=str(checkpoint), verbose=False)
    scores = next(c for c in trainer.callbacks if isinstance(c, Scores))  # type: ignore[attr-defined]
    accuracy = trainer.callback_metrics.get("val/accuracy")
    return {**scores.result, "accuracy": None if accuracy is None else accuracy.item()}


def close(trainer: Trainer, folder: Path, failed: bool) -> None:
    """Finish the W&B run, so that the next job of a sweep gets one of its own."""
    (folder / "hparams.yaml").unlink(missing_ok=True)  # Lightning's, always empty here.
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=int(failed))


def quieten() -> None:
    """Leave out what Lightning says about settings that are meant."""
    import logging

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*Experiment logs directory.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*GPU available but not used.*",
        ".*callbacks used to create the checkpoint need to be provided.*",
        ".*before the ``update`` method.*",
        ".*isinstance.treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message)
