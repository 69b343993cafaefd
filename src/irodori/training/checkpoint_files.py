"""Writing checkpoints atomically, even if the disk is full."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins.io import TorchCheckpointIO

from irodori.utils.errors import one_line
from irodori.utils.files import replacing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file and renames it; a failure keeps the previous one.

    Attributes:
        error: why the last checkpoint could not be written; None if it was. It isn't raised, since
            only one rank writes while the others wait.
    """

    error: str | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, or set `error`."""
        # First to memory, since torch aborts the process if writing to a file fails.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self.error = None
        try:
            with replacing(Path(path)) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            self.error = error.strerror or one_line(error)
