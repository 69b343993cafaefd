"""Logging to TensorBoard in the run folder's `tensorboard`."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from irodori.runs.run import Run
from irodori.training.loggers import numbers_of
from irodori.utils.errors import IrodoriError, one_line

FOLDER = "tensorboard"


def start_tensorboard(run: Run, rows: Sequence[Mapping[str, Any]]) -> "TensorBoard":
    """Create TensorBoard's logger; raise IrodoriError if its package is missing."""
    if find_spec("tensorboard") is None:
        raise IrodoriError(
            "logger=tensorboard needs a package: pip install 'irodori[tensorboard]', or choose"
            " logger=csv"
        )
    return TensorBoard(run.folder, run.settings(), rows)


class TensorBoard(TensorBoardLogger):
    """Lightning's logger in a single folder, which a resumed run continues.

    Entries of a resumed run beyond the rows of metrics.csv are purged. The settings are logged as
    the text `config`. If a file can't be written, a message is printed and the run continues
    without TensorBoard.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        path = folder / FOLDER
        # A run may have used another logger before: then all its rows are logged.
        first, missing = 0, rows
        if rows and any(path.glob("events.out.tfevents.*")):
            first, missing = purge_point(rows)
        super().__init__(folder, "", FOLDER, default_hp_metric=False, purge_step=first)
        self._failed = False
        self._steps: dict[str, int | None] = {}
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        # Indented lines are code in Markdown.
        self._write("add_text", "config", textwrap.indent(text, "    "), first)
        for row in missing:
            self.log_metrics(numbers_of(row), int(row["step"]))
        print(f"TensorBoard: tensorboard --logdir {shlex.quote(str(path))}", flush=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add scalars and flush; Lightning's method raises ValueError for a full disk."""
        for name, value in metrics.items():
            # Several rows of a step contain its epoch.
            if self._steps.get(name) != step:
                self._write("add_scalar", name, value, step)
                self._steps[name] = step

    def log_image(self, key: str, images: Sequence[Image.Image], step: int, **_: Any) -> None:
        """Add pictures, like `WandbLogger.log_image` but without captions."""
        for image in images:
            pixels_HW3 = np.asarray(image.convert("RGB"))
            self._write("add_image", key, pixels_HW3, step, dataformats="HWC")

    def save(self) -> None:
        """Do nothing: config.yaml replaces Lightning's hparams.yaml."""

    def finalize(self, status: str) -> None:
        """Do nothing, since the evaluation of checkpoints follows training."""

    def _write(self, method: str, *arguments: Any, **options: Any) -> None:
        """Call a method of TensorBoard's writer and flush, unless an earlier call failed."""
        if self._failed:
            return
        try:
            getattr(self.experiment, method)(*arguments, **options)
            self.experiment.flush()
        except OSError as error:
            self._failed = True
            print(
                f"{self.log_dir} can't be written: {one_line(error)}; TensorBoard is disabled",
                flush=True,
            )


def purge_point(rows: Sequence[Mapping[str, Any]]) -> tuple[int, list[Mapping[str, Any]]]:
    """Return the step from which TensorBoard's entries are purged, and the rows to log again.

    A validation is logged at the preceding step. If the last step's validation remains to be done
    or repeated, all entries of this step are purged.
    """
    last = int(rows[-1]["step"])
    at_last = [row for row in rows if int(row["step"]) == last]
    if any(name.startswith("val/") for row in at_last for name in row):
        return last + 1, []
    return last, at_last
