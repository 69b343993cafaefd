"""The table at the end of a sweep."""

import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from irodori.training.report import CONSOLE


class SweepSummary(Callback):
    """Prints a line per job of a multirun: what was set, and the best checkpoint's figures."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, Path]] = []

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """Remember the job's overrides and folder."""
        hydra = config.hydra
        folder = Path(hydra.runtime.output_dir)
        self.jobs.append((hydra.job.override_dirname or "(defaults)", folder))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table."""
        table = Table(title="Chrominance RMSE of the sweep (ab units, lower is better)")
        table.add_column("job")
        for name in ("best", "last", "mean color", "gray", "accuracy"):
            table.add_column(name, justify="right")
        table.add_column("folder")
        for overrides, folder in self.jobs:
            path = folder / "metrics.json"
            cells = ["failed"] + [""] * 4
            if path.exists():
                rows = json.loads(path.read_text())["rows"]
                accuracy = rows["best"]["accuracy"]
                cells = [
                    f"{rows[name]['chroma_rmse']:.2f}"
                    for name in ("best", "last", "mean_color", "gray")
                ]
                cells.append("" if accuracy is None else f"{accuracy:.1%}")
            table.add_row(overrides, *cells, folder.name)
        CONSOLE.print(table)
