"""The loggers of a run: metrics.csv always, and what is configured beside it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.pytorch.loggers import Logger

from irodori.config.instantiate import instantiate
from irodori.runs.run import Run
from irodori.training.metrics_csv import MetricsCSV


def make_loggers(run: Run, keep_rows: int = 0) -> list[Logger]:
    """Return the logger of metrics.csv, of which `keep_rows` rows stay, and the configured one.

    A configured logger is one of Lightning's, or with `_partial_: true` a function of
    `(run, rows)` that returns a logger or None: the run, and the rows of metrics.csv so far.

    Raises:
        IrodoriError: a package is missing.
    """
    metrics = MetricsCSV(run.folder, run.config.trainer.log_every_n_steps or 50, keep_rows)
    if not run.config.logger:
        return [metrics]
    logger: Any = instantiate(run.config.logger)
    if isinstance(logger, partial):
        logger = logger(run, metrics.rows)
    elif logger is not None:
        logger.log_hyperparams(run.settings())
    return [metrics] if logger is None else [metrics, logger]


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row of metrics.csv, which may be texts, without its step."""
    return {name: float(value) for name, value in row.items() if name != "step"}
