"""Logging a comparison's tables and pictures to W&B as a separate run."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import wandb

from irodori.evaluation.document import Document, Picture
from irodori.training.loggers.wandb_run import PROJECT, wandb_mode
from irodori.utils.errors import IrodoriError, one_line


def log(document: Document, tables: Mapping[str, pd.DataFrame], output: Path, group: str) -> None:
    """Log the tables and pictures of a report as a run named `compare`, offline without a key.

    Args:
        document: report of `make_report`.
        tables: tables of `make_report`.
        output: folder of the report, also for W&B's files.
        group: W&B group of the run, see `irodori.training.launching.sweep.wandb_group`.

    Raises:
        IrodoriError: the mode is unknown, or W&B raises an error.
    """
    mode, reason = wandb_mode("auto")
    logged: dict[str, object] = {
        name: wandb.Table(list(table), table.astype(object).where(table.notna(), None).to_numpy())
        for name, table in tables.items()
    }
    for block in document.blocks:
        if isinstance(block, Picture):
            path = output / block.file
            logged[path.stem] = wandb.Image(str(path), caption=block.alt)
    try:
        with wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name="compare",
            group=group,
            dir=output,
            mode=mode,
            settings=wandb.Settings(silent=True),
        ) as run:
            run.log(logged)
    except wandb.errors.Error as error:
        raise IrodoriError(f"W&B: {one_line(error)}; fix this, or set WANDB_MODE=offline") from None
    print(f"W&B: {mode} ({reason})")
