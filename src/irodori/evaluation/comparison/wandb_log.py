"""A comparison on W&B: its tables and pictures as a run of its own."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import wandb

from irodori.evaluation.document import Document, Picture
from irodori.training.loggers.wandb_run import wandb_mode
from irodori.utils.errors import IrodoriError, one_line


def log(document: Document, tables: Mapping[str, pd.DataFrame], output: Path, group: str) -> None:
    """Log the tables and pictures of a report as a run named `compare`, offline without a key.

    Args:
        document: see `make_report`.
        tables: see there.
        output: folder of the written report, and for W&B's own files.
        group: of the run: the sweep's name, so that it stands beside its jobs.

    Raises:
        IrodoriError: the mode is unknown, or W&B refuses.
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
            project="irodori",
            name="compare",
            group=group,
            dir=output,
            mode=mode,
            settings=wandb.Settings(silent=True),
        ) as run:
            run.log(logged)
    except wandb.errors.Error as error:
        raise IrodoriError(f"W&B: {one_line(error)}; mend it, or set WANDB_MODE=offline") from None
    print(f"W&B: {mode} ({reason})")
