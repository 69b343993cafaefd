"""metrics.csv: a row per logged step and per epoch, whole on disk whatever happens."""

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing
from irodori.utils.run_files import METRICS_CSV


class MetricsCSV(Logger):
    """Writes what is logged as rows: the columns are sorted by name, and `step` is the last.

    Lightning's own logger deletes the file of a resumed run, and rewrites it in place
    when a column is added.

    Args:
        folder: the run folder.
        flush_every: steps after which the file is written.
        keep: rows of a file that is there already which stay; the others are replaced. It is said
            if there aren't so many.

    Raises:
        IrodoriError: the file that is there can't be read.
    """

    def __init__(self, folder: Path, flush_every: int, keep: int = 0) -> None:
        super().__init__()
        self.path = folder / METRICS_CSV
        self.flush_every = flush_every
        self.rows: list[dict[str, Any]] = []
        self._failed = False
        if keep:
            self.rows = read(self.path)[:keep]
            if len(self.rows) < keep:
                missing = keep - len(self.rows)
                print(f"{self.path} lacks {missing} rows of the steps before", flush=True)

    @property
    def name(self) -> str:
        """Return no name, so that other callbacks' files lie in the run folder itself."""
        return ""

    @property
    def version(self) -> str:
        """Return no version, see `name`."""
        return ""

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.path.parent)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing: config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row."""
        self.rows.append({**metrics, "step": step})
        if step is not None and (step + 1) % self.flush_every == 0:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write the file."""
        names = sorted(set().union(*self.rows) - {"step"})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*names, "step"])
        writer.writeheader()
        writer.writerows(self.rows)
        try:
            with replacing(self.path) as file:
                file.write(text.getvalue().encode())
            self._failed = False
        except OSError as error:
            # The rows are kept in memory, and written the next time that there is room.
            if not self._failed:
                print(f"{self.path} can't be written for now: {one_line(error)}", flush=True)
            self._failed = True

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the file at the end of training or of a validation."""
        self.save()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, with the texts of the columns that aren't empty; none without a file.

    Raises:
        IrodoriError: it is no such file.
    """
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
