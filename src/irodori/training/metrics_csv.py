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


class MetricsCSV(Logger):
    """Writes logged metrics as rows, every `flush_every` steps; columns by name, `step` last.

    The first `keep` rows of an existing file are kept; a message is printed if there are fewer.
    Lightning's CSV logger would delete the file of a resumed run and rewrite it in place when a
    column is added.
    """

    # Files of other callbacks are in the run folder itself.
    name = version = ""

    def __init__(self, folder: Path, flush_every: int, keep: int = 0) -> None:
        super().__init__()
        self.path = folder / METRICS_CSV
        self.flush_every = flush_every
        self.rows = read(self.path)[:keep] if keep else []
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
        if (step + 1) % self.flush_every == 0:
            self.save()

    def save(self) -> None:
        """Write the file; if this fails, rows are kept for the next time."""
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
            if not self._failed:
                print(f"{self.path} can't be written for now: {one_line(error)}", flush=True)
            self._failed = True

    def finalize(self, status: str) -> None:
        """Write the file at the end of training or validation."""
        self.save()


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
