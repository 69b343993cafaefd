"""Checkpoint files that are written whole or not at all, also when the disk is full."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins.io import TorchCheckpointIO

from irodori.utils.errors import one_line
from irodori.utils.files import replacing


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it; a failure leaves the one before.

    Attributes:
        error: why the last checkpoint could not be written, None if it was. It isn't raised, since
            only one rank writes, and the others wait for it.
    """

    error: str | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, or set `error`."""
        # First into memory: torch ends the process if a file can't take what it writes.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self.error = None
        try:
            with replacing(Path(path)) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            self.error = error.strerror or one_line(error)
