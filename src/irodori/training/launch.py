"""One training run, from a composed configuration to its run folder."""

import errno
import json
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from irodori.config import Config
from irodori.data.files import replacing
from irodori.data.module import ShardData
from irodori.data.workers import end_workers
from irodori.errors import IrodoriError, one_line
from irodori.metrics import per_image
from irodori.training import report
from irodori.training.building import build, make_callbacks, make_trainer
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.take_over import TakeOver
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.evaluation import evaluate, scores_of
from irodori.training.figures import document
from irodori.training.hardware import Hardware, choose
from irodori.training.loggers import check_logger, make_loggers
from irodori.training.module import Colorization
from irodori.training.protocol import OWN_SIZE, of_shards
from irodori.training.ranks import end_started
from irodori.training.run_folder import (
    CHECKPOINTS,
    CONFIG,
    LAST,
    METRICS,
    claim,
    command,
    locked,
    remove_if_empty,
    sweep_up,
)
from irodori.training.stopping import REQUEUE, Stopped, StopSignal

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What the disk may answer to a write, through no fault of the program."""


def train(
    config: Config,
    composed: DictConfig,
    folder: Path,
    overrides: list[str],
    chosen: bool = False,
    changes: Sequence[str] = (),
) -> None:
    """Train as configured, fill the run folder, and print its path as the last line.

    Args:
        config: the configuration; with `resume`, that of the run to go on with.
        composed: the same as Hydra composed it, to be written down.
        folder: the run folder; one of a similar name if it holds a run that isn't gone on with.
        overrides: what the user set, which names the run on W&B.
        chosen: the user named this very folder.
        changes: with `resume`, what differs from the configuration that the run began with.

    Raises:
        IrodoriError: the configuration, the data, the hardware or the disk doesn't allow it.
        SystemExit: with status `REQUEUE`, when a signal asked the run to stop.
    """
    if config.resume is not None and (folder / METRICS).is_file() and not changes:
        print(f"this run is finished: its figures are in {folder / METRICS}")
        print(f"run: {folder}", flush=True)
        return
    quieten()
    stop = StopSignal()
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    stop.first = first
    with stop.handled(), ExitStack() as held:
        try:
            hardware, data, module = prepare(config)
            if first and config.resume is None:
                folder = claim(folder, written(composed), chosen)
            if first:
                held.enter_context(locked(folder))
            else:
                # Under torchrun Hydra has made a folder for each rank, by its own clock.
                held.callback(remove_if_empty, folder)
            if first and config.resume is not None:
                sweep_up(folder)
            _train(config, composed, folder, overrides, changes, stop, hardware, data, module)
        except Stopped:
            stop.outlook = outlook(folder)
            raise
        except (KeyboardInterrupt, SystemExit):
            # Lightning answers Ctrl-C with the latter.
            raise IrodoriError(f"interrupted; {outlook(folder)}") from None
        except OSError as error:
            if error.errno not in DISK:
                raise
            raise IrodoriError(f"{one_line(error)}; make room; {outlook(folder)}") from None


def prepare(config: Config) -> tuple[Hardware, ShardData, Colorization]:
    """What a run needs before it has a folder, so that a mistake leaves none behind.

    Raises:
        IrodoriError: a setting is out of range or doesn't fit another, the data or the hardware.
    """
    hardware = choose(config.trainer)
    check_logger(config.logger)
    if config.trainer.max_epochs < 0 and config.trainer.max_steps < 0:
        raise IrodoriError("set trainer.max_epochs or trainer.max_steps, or training never ends")
    seed_everything(config.seed, workers=True, verbose=False)
    return hardware, *build(config, hardware)


def _train(
    config: Config,
    composed: DictConfig,
    folder: Path,
    overrides: list[str],
    changes: Sequence[str],
    stop: StopSignal,
    hardware: Hardware,
    data: ShardData,
    module: Colorization,
) -> None:
    files = WholeFiles()
    callbacks = make_callbacks(config, data, folder, files, stop)
    begun = None
    if config.resume is not None:
        callbacks.append(TakeOver(folder, written(composed)))
        if (folder / CHECKPOINTS / LAST).is_file():
            begun = folder / CHECKPOINTS / LAST
    trainer = make_trainer(config, hardware, callbacks, files)
    if trainer.is_global_zero:
        report.start(module, data, hardware, trainer.world_size)
        rows = 0
        if config.resume is not None:
            for change in changes:
                print(f"changed: {change}", flush=True)
            rows = tell_begun(begun, config, data)
        trainer.loggers = make_loggers(
            config.logger,
            folder,
            OmegaConf.to_container(composed, resolve=True),  # type: ignore[arg-type]
            overrides,
            flush_every=config.trainer.log_every,
            keep_rows=rows,
        )
    status = 1
    try:
        trainer.fit(module, data, ckpt_path=begun, weights_only=True)
        # Under torchrun each rank has composed a run folder of its own; rank 0's is the one.
        folder = Path(trainer.strategy.broadcast(str(folder)))
        judged = evaluate(trainer, module, data, folder / CHECKPOINTS)
        if trainer.is_global_zero:
            checkpoints = next(c for c in callbacks if isinstance(c, Checkpoints))
            prior = scores_of(trainer).prior
            result = document(judged, of_shards(data, OWN_SIZE, module.model, prior))
            if config.data.val_seen:
                result["protocol"]["seen_in_training"] = True
            images = trainer.global_step * config.data.batch_size
            result["training"] = {
                "seconds": round(checkpoints.seconds, 1),
                "epochs": trainer.current_epoch,
                "steps": trainer.global_step,
                # Of the whole time, with its validations.
                "images_per_second": round(images / checkpoints.seconds, 1),
                "parameters": sum(weight.numel() for weight in module.network.parameters()),
                "hardware": str(hardware),
                "began_with": list(module.beginning),
            }
            per_image.write(folder, judged.records)
            with replacing(folder / METRICS) as file:
                file.write(json.dumps(result, indent=2).encode() + b"\n")
            report.end(result)
            print(f"run: {folder}", flush=True)
        status = 0
    except Stopped:
        status = REQUEUE
        raise
    finally:
        # Lightning ends the loader processes of the loop that was interrupted only.
        trainer.fit_loop.teardown()
        end_workers()
        close(trainer, status)
        end_started(trainer, failed=status != 0)


def written(composed: DictConfig) -> str:
    """The resolved configuration as config.yaml holds it: `resume` is no part of it."""
    config = composed.copy()
    config.resume, config.allow_changes = None, False
    return OmegaConf.to_yaml(config, resolve=True)


def outlook(folder: Path) -> str:
    """What lies on disk of a run that has ended before its end, and how to go on."""
    last = folder / CHECKPOINTS / LAST
    if not (folder / CONFIG).is_file():
        return "nothing was begun; give the same command again"
    try:
        step = torch.load(last, map_location="cpu", weights_only=True, mmap=True)["global_step"]
        found = f"step {step} is written"
    except FileNotFoundError:
        found = "no checkpoint is written yet"
    except Exception as error:
        # torch raises many kinds here, by what the file is.
        found = f"{last} can't be read: {one_line(error)}"
    return f"{found}; go on with: {command(folder)}"


def tell_begun(checkpoint: Path | None, config: Config, data: ShardData) -> int:
    """Say where a run is gone on with; gives the rows of metrics.csv that stay.

    Args:
        checkpoint: None if there is none yet.
        config: the run is to end by its limits, which may have been changed.
        data: what is trained on.

    Raises:
        IrodoriError: the checkpoint can't be read, was written on other data, or lies behind the
            run's end.
    """
    if checkpoint is None:
        print("no checkpoint was written yet: this run starts from its beginning", flush=True)
        return 0
    try:
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        step, position = stored["global_step"], stored["callbacks"]["Checkpoints"]
        batches, rows = position["batches"], position["rows"]
        data_state = stored[type(data).__qualname__]
    except Exception as error:
        # torch raises many kinds here, by what the file is.
        raise IrodoriError(
            f"{checkpoint} can't be read: {one_line(error)}; restore it, or start a new run"
        ) from None
    data.load_state_dict(data_state)
    for key, limit, done in (
        ("max_epochs", config.trainer.max_epochs, batches / data.plan(1, rank=0).batches),
        ("max_steps", config.trainer.max_steps, step),
    ):
        if 0 <= limit < done:
            raise IrodoriError(f"trainer.{key}={limit}: {done:g} are done, and can't be undone")
    print(f"going on after step {step}", flush=True)
    return int(rows)


def close(trainer: Trainer, status: int) -> None:
    """Finish the W&B run, so that it is marked as failed or preempted if it is."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            # Imported here: it takes half a second, which only runs that log there have spent.
            from irodori.training.loggers.wandb_run import WandbSteps

            assert isinstance(logger, WandbSteps)
            logger.finish(status, preempted=status == REQUEUE)


def quieten() -> None:
    """Leave out what Lightning says about settings that are meant."""
    import logging

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*resuming from a checkpoint that ended before the epoch ended.*",
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*GPU available but not used.*",
        ".*callbacks used to create the checkpoint need to be provided.*",
        ".*before the ``update`` method.*",
        ".*isinstance.treespec, LeafSpec.*",
        # What is logged of an epoch is the same on all ranks already.
        ".*sync_dist=True.*",
        # The run stops and says more of it.
        "Encountered `nan` values in tensor.*",
        # Of 1×1 kernels, whose strides in either layout name the same places.
        "Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message)
