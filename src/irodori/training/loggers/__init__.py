"""The loggers of a run: metrics.csv always, and W&B or TensorBoard as configured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from irodori.config import LoggerConfig, WandbConfig
from irodori.errors import IrodoriError
from irodori.training.loggers.tensorboard import TensorBoard, require_tensorboard
from irodori.training.loggers.wandb_mode import wandb_mode
from irodori.training.metrics_csv import MetricsCSV


def check_logger(config: LoggerConfig) -> None:
    """See to it that the logger can be had, before a run has a folder.

    Raises:
        IrodoriError: the logger or its mode is unknown, or its package is missing.
    """
    if config.name == "wandb" and isinstance(config, WandbConfig):
        wandb_mode(config.mode)
    elif config.name == "tensorboard":
        require_tensorboard()
    elif config.name != "csv":
        raise IrodoriError(
            f"logger.name={config.name} can't be had like this; choose logger=wandb,"
            " logger=tensorboard or logger=csv"
        )


def make_loggers(
    config: LoggerConfig,
    folder: Path,
    settings: dict[str, Any],
    overrides: Sequence[str],
    flush_every: int,
    keep_rows: int = 0,
) -> list[Logger]:
    """metrics.csv in the run folder, and what is configured beside it.

    Args:
        config: group logger.
        folder: the run folder.
        settings: the resolved configuration, which W&B and TensorBoard store.
        overrides: what the user set, which names the run on W&B.
        flush_every: steps after which metrics.csv is written.
        keep_rows: of a run that is gone on with, rows of metrics.csv that stay.

    Raises:
        IrodoriError: the logger or its mode is unknown, its package is missing, or W&B refuses the
            run.
    """
    check_logger(config)
    # How a run is gone on with is no setting of it, nor stands it in config.yaml.
    settings = {key: x for key, x in settings.items() if key not in ("resume", "allow_changes")}
    metrics = MetricsCSV(folder, flush_every, keep_rows)
    if isinstance(config, WandbConfig) and config.name == "wandb":
        # Imported here: it takes a second.
        from irodori.training.loggers.wandb_run import wandb_loggers

        return [metrics, *wandb_loggers(config, folder, settings, overrides, metrics.rows)]
    if config.name == "tensorboard":
        return [metrics, TensorBoard(folder, settings, metrics.rows)]
    return [metrics]
