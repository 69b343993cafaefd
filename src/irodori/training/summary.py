"""The table at the end of a sweep."""

import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from irodori.training.report import CONSOLE


class SweepSummary(Callback):
    """Prints a line per job of a multirun: what was varied, and the checkpoints' figures."""

    def __init__(self) -> None:
        self.jobs: list[tuple[list[str], Path]] = []

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """Remember the job's overrides and folder."""
        self.jobs.append((list(config.hydra.overrides.task), Path(config.hydra.runtime.output_dir)))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table."""
        table = Table(
            title="Chrominance RMSE of the sweep (ab units, lower is better)", title_justify="left"
        )
        table.add_column("job", overflow="fold")
        for name in ("best", "last", "mean color", "gray", "accuracy"):
            table.add_column(name, justify="right", no_wrap=True)
        common = set.intersection(*(set(overrides) for overrides, _ in self.jobs))
        for overrides, folder in self.jobs:
            varied = " ".join(setting for setting in overrides if setting not in common)
            table.add_row(f"{folder.name}: {varied}", *cells(folder / "metrics.json"))
        CONSOLE.print(table)
        print(f"sweep: {Path(config.hydra.sweep.dir).resolve()}", flush=True)


def cells(path: Path) -> list[str]:
    """The figures of a job's metrics.json."""
    if not path.exists():
        return ["failed", "", "", "", ""]
    rows = json.loads(path.read_text())["rows"]
    accuracy = rows["best"]["accuracy"]
    return [
        *(f"{rows[name]['chroma_rmse']:.2f}" for name in ("best", "last", "mean_color", "gray")),
        "" if accuracy is None else f"{accuracy:.0%}",
    ]
