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

    A failure is printed, whichever callback asked for the checkpoint.

    Attributes:
        error: why the last checkpoint could not be written; None if it was. It isn't raised, since
            only one rank writes while the others wait.
    """

    error: str | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, or set `error` and print it."""
        # First to memory, since torch aborts the process if writing to a file fails.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self.error = None
        try:
            with replacing(Path(path)) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            self.error = error.strerror or one_line(error)
            kept = "the previous one is kept" if Path(path).exists() else "there is none yet"
            print(f"{path} can't be written: {self.error}; {kept}", flush=True)

    def remove_checkpoint(self, path: _PATH) -> None:
        """Remove a checkpoint, unless the one that replaces it couldn't be written."""
        if self.error is None:
            super().remove_checkpoint(path)
