"""TensorBoard: scalars, the configuration and pictures in the run folder's `tensorboard`."""

import shlex
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from irodori.runs.run import Run
from irodori.training.loggers.rows import FirstValues, at_last_step, values
from irodori.utils.errors import IrodoriError, one_line

FOLDER = "tensorboard"


def start_tensorboard(run: Run, rows: Sequence[Mapping[str, Any]]) -> "TensorBoard":
    """Return TensorBoard's logger.

    Args:
        run: the run, whose settings are logged as the text `config`.
        rows: of metrics.csv, those of the steps before.

    Raises:
        IrodoriError: the package is missing.
    """
    if find_spec("tensorboard") is None:
        raise IrodoriError(
            "logger=tensorboard needs a package: pip install 'irodori[tensorboard]', or choose"
            " logger=csv"
        )
    return TensorBoard(run.folder, run.settings(), rows)


class TensorBoard(TensorBoardLogger):
    """Lightning's logger, writing into one folder, where a resumed run continues.

    If a file can't be written, a line says so, and the run continues without.

    Args:
        folder: the run folder.
        settings: the resolved configuration, logged as the text `config`.
        rows: of metrics.csv, those of the steps before; what TensorBoard has beyond them is void.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        path = folder / FOLDER
        resumes = any(path.glob("events.out.tfevents.*"))
        # A run may have logged elsewhere before: then all of its rows are still to be logged.
        first, again = boundary(rows) if resumes else (0, rows)
        super().__init__(folder, "", FOLDER, default_hp_metric=False, purge_step=first)
        self._first_values = FirstValues()
        self._failed = False
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        # Indented lines are code in Markdown.
        markdown = textwrap.indent(text, "    ")
        self._attempt(partial(self.experiment.add_text, "config", markdown, first))
        for row in again:
            self.log_metrics(values(row), int(row["step"]))
        print(f"TensorBoard: tensorboard --logdir {shlex.quote(str(path))}", flush=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add the values that this step doesn't have yet, at once on disk."""
        # Lightning's own method turns a full disk into a ValueError.
        for name, value in self._first_values(metrics, step).items():
            self._attempt(partial(self.experiment.add_scalar, name, value, step))

    def log_image(self, key: str, images: Sequence[Image.Image], step: int, **_: Any) -> None:
        """Add pictures, as `WandbLogger.log_image` does; TensorBoard has no captions."""
        for image in images:
            pixels_HW3 = np.asarray(image.convert("RGB"))
            add = self.experiment.add_image
            self._attempt(partial(add, key, pixels_HW3, step, dataformats="HWC"))

    def save(self) -> None:
        """Nothing is left to write, and config.yaml holds what Lightning's hparams.yaml would."""

    def finalize(self, status: str) -> None:
        """Stay open, since the validation of checkpoints follows training."""

    def _attempt(self, write: Callable[[], Any]) -> None:
        """Write, up to the disk, unless that failed before."""
        if self._failed:
            return
        try:
            write()
            self.experiment.flush()
        except OSError as error:
            self._failed = True
            print(
                f"{self.log_dir} can't be written: {one_line(error)}; TensorBoard ends here",
                flush=True,
            )


def boundary(rows: Sequence[Mapping[str, Any]]) -> tuple[int, list[Mapping[str, Any]]]:
    """From which step on TensorBoard is to forget what it has, and which rows it then lacks.

    A validation is logged at the step before it. Where the last step's is still to come, or to be
    done again, so is all that was logged at this step.

    Args:
        rows: of metrics.csv, those that stay, in their order.
    """
    if not rows:
        return 0, []
    last, missing = int(rows[-1]["step"]), at_last_step(rows)
    if any(name.startswith("val/") for row in missing for name in row):
        return last + 1, []
    return last, missing
