"""metrics.csv: a row per logged step and per epoch, whole on disk whatever happens."""

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.files import replacing

NAME = "metrics.csv"


class MetricsCSV(Logger):
    """Writes what is logged as rows, every `flush_every` steps: columns by name, and `step` last.

    Of a file that is there already, `keep` rows stay; a line says if there are fewer. Lightning's
    own logger deletes the file of a resumed run, and rewrites it in place when a column is added.
    """

    # Files of other callbacks lie in the run folder itself.
    name = version = ""

    def __init__(self, folder: Path, flush_every: int, keep: int = 0) -> None:
        super().__init__()
        self.path = folder / NAME
        self.flush_every = flush_every
        self.rows = read(self.path)[:keep] if keep else []
        self._failed = False
        if missing := keep - len(self.rows):
            print(f"{self.path} lacks {missing} rows of the steps before", flush=True)

    @property
    def save_dir(self) -> str:
        """Return the run folder."""
        return str(self.path.parent)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Do nothing: config.yaml holds them."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row."""
        assert step is not None, "Lightning gives each row a step"
        self.rows.append({**metrics, "step": step})
        if (step + 1) % self.flush_every == 0:
            self.save()

    def save(self) -> None:
        """Write the file; where it can't be, its rows are kept for the next time."""
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
        """Write the file at the end of training or of a validation."""
        self.save()


def read(path: Path) -> list[dict[str, Any]]:
    """Return a file's rows, with the texts that aren't empty; IrodoriError if it can't be read."""
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
