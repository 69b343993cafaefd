"""Loggers of a run: metrics.csv, and the configured one."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from irodori.config.instantiate import instantiate
from irodori.runs.run import Run
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import write_csv
from irodori.utils.run_files import METRICS_CSV


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


LONGER = 1.01
"""Ratio of rows in memory to rows in the file above which the file is written again."""


class MetricsCSV(Logger):
    """Writes logged metrics as rows; columns by name, `step` last.

    The file is replaced as a whole. A long file is only written once it has grown by 1 %, since
    writing it with every row would take more time the longer the run is; it is complete with every
    checkpoint.

    The first `keep` rows of an existing file are kept; a message is printed if there are fewer.
    Lightning's CSV logger would delete the file of a resumed run and rewrite it in place when a
    column is added.
    """

    # Files of other callbacks are in the run folder itself.
    name = version = ""

    def __init__(self, folder: Path, keep: int = 0) -> None:
        super().__init__()
        self.path = folder / METRICS_CSV
        self.rows = read(self.path)[:keep] if keep else []
        self._written = 0
        self._failed = False
        if missing := keep - len(self.rows):
            print(f"{self.path} lacks {missing} rows of previous steps", flush=True)

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.path.parent)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Do nothing: they are in config.yaml."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row."""
        assert step is not None, "Lightning passes a step with each row"
        self.rows.append({**metrics, "step": step})

    def save(self) -> None:
        """Write the file if that is due; Lightning calls this after every row."""
        if len(self.rows) > self._written * LONGER:
            self.write()

    def write(self) -> None:
        """Write the file; if this fails, rows are kept for the next time."""
        columns = [*sorted(set().union(*self.rows) - {"step"}), "step"]
        try:
            write_csv(self.path, columns, ([row.get(x) for x in columns] for row in self.rows))
            self._written, self._failed = len(self.rows), False
        except OSError as error:
            if not self._failed:
                print(f"{self.path} can't be written for now: {one_line(error)}", flush=True)
            self._failed = True

    def finalize(self, status: str) -> None:
        """Write the file at the end of training or validation."""
        self.write()


def read(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file without empty cells; raise IrodoriError if it is unreadable."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise IrodoriError(
            f"{path} can't be read: {one_line(error)}; restore it, or remove it to do without"
        ) from None
    return [{name: text for name, text in row.items() if name and text} for row in rows]
