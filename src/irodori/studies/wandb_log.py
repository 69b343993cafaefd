"""A comparison on W&B: its tables and pictures as a run of its own."""

import io
from pathlib import Path

import wandb
from PIL import Image

from irodori.studies.comparison import Comparison
from irodori.studies.report import Report
from irodori.studies.tables import tables
from irodori.training.loggers.wandb_mode import wandb_mode
from irodori.utils.errors import IrodoriError, one_line


def log(comparison: Comparison, report: Report, output: Path, group: str) -> None:
    """Log as run `compare`, offline without a key.

    Args:
        comparison: its tables are logged whole.
        report: its pictures are logged.
        output: W&B's own files lie in its folder wandb/.
        group: of the run: the sweep's name, so that it stands beside its jobs.

    Raises:
        IrodoriError: the mode is unknown, or W&B refuses.
    """
    mode, reason = wandb_mode("auto")
    try:
        with wandb.init(
            project="irodori",
            name="compare",
            group=group,
            dir=output,
            mode=mode,
            settings=wandb.Settings(silent=True),
        ) as run:
            logged: dict[str, object] = {
                name: wandb.Table(columns=table["columns"], data=table["data"])
                for name, table in tables(comparison).items()
            }
            for name, content in report.files.items():
                if name.endswith(".png"):
                    logged[Path(name).stem] = wandb.Image(Image.open(io.BytesIO(content)))
            run.log(logged)
    except wandb.errors.Error as error:
        raise IrodoriError(f"W&B: {one_line(error)}; mend it, or set WANDB_MODE=offline") from None
    print(f"W&B: {mode} ({reason})")
