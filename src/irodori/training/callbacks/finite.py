"""Looks whether losses are finite numbers, and keeps what is needed to find out why not."""

from pathlib import Path
from typing import Any, NoReturn

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from irodori.errors import IrodoriError, one_line
from irodori.training.checkpoint_files import write
from irodori.training.ranks import gather


class FiniteLoss(Callback):
    """Looks at the loss of every micro-batch; the batch is written down for looking into.

    See `Watcher` for how it stops the run.

    Args:
        folder: the run folder, for `diverged-rank-<r>.pt`: a dict of the step, the loss, and the
            batch as it went into the network, with its keys.

    Attributes:
        bad: what was wrong on this rank, None if nothing was.
    """

    @property
    def alarm(self) -> bool:
        """Whether a loss on this rank was no finite number."""
        return self.bad is not None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bad: str | None = None
        self._batch: dict[str, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the first rank's folder: under torchrun each has composed one of its own."""
        self.folder = Path(trainer.strategy.broadcast(str(self.folder)))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self._batch = batch

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Look at the loss."""
        if self.bad is not None or bool(loss.isfinite()):
            return
        path = self.folder / f"diverged-rank-{trainer.global_rank}.pt"
        step = trainer.global_step + 1
        batch = {
            name: value.detach().cpu() if isinstance(value, Tensor) else value
            for name, value in self._batch.items()
        }
        try:
            write({"step": step, "loss": loss.item(), "batch": batch}, path)
            place = f"see {path}"
        except OSError as error:
            place = f"{path} can't be written: {one_line(error)}"
        keys = ", ".join(batch["keys"])
        self.bad = f"the loss of step {step} is {loss.item()}, {place} (samples {keys})"

    def tell(self) -> NoReturn:
        """Say which losses, of which samples. Raises IrodoriError."""
        places = "; ".join(text for text in gather(self.bad) if text is not None)
        raise IrodoriError(
            f"{places}: look at these images, or lower optimizer.lr or set trainer.clip_norm; the"
            " last checkpoint was written before"
        )
