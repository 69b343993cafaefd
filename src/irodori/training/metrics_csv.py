"""metrics.csv: one row per logged step and per epoch, written atomically."""

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing
from irodori.utils.run_files import METRICS_CSV

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
        names = sorted(set().union(*self.rows) - {"step"})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*names, "step"])
        writer.writeheader()
        writer.writerows(self.rows)
        try:
            with replacing(self.path) as file:
                file.write(text.getvalue().encode())
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
