"""Loggers of a run: metrics.csv, and the configured one."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.pytorch.loggers import Logger

from irodori.config.instantiate import instantiate
from irodori.runs.run import Run
from irodori.training.metrics_csv import MetricsCSV


def make_loggers(run: Run, keep_rows: int = 0) -> list[Logger]:
    """Create the logger of metrics.csv (keeping `keep_rows` rows) and the configured one.

    A configured logger is a Lightning logger or, with `_partial_: true`, a function of the run and
    the previous rows of metrics.csv that returns a logger or None.

    Raises:
        IrodoriError: a package is missing.
    """
    metrics = MetricsCSV(run.folder, keep_rows)
    if not run.config.logger:
        return [metrics]
    logger: Any = instantiate(run.config.logger)
    if isinstance(logger, partial):
        logger = logger(run, metrics.rows)
    elif logger is not None:
        logger.log_hyperparams(run.settings())
    return [metrics] if logger is None else [metrics, logger]


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Convert a row of metrics.csv to numbers, without its step."""
    return {name: float(value) for name, value in row.items() if name != "step"}
