"""Callbacks that may stop a run: for unreadable images, or diverging losses."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from irodori.training.ranks import gather, own_value
from irodori.utils.errors import IrodoriError


class Watcher(Callback):
    """Base class of callbacks that may stop the run.

    `Checkpoints` checks all ranks' problems before anything is written, and all ranks stop
    together: otherwise they would wait for the gradients of a stopped one.

    Attributes:
        problem: why this rank needs to stop; None if it doesn't.
    """

    problem: str | None = None

    def look(self) -> None:
        """Check values that are still on the device; called before a checkpoint is written."""


def raise_problems(problems: list[str | None]) -> None:
    """Raise IrodoriError if any rank has a problem; must be called on all ranks."""
    found = {problem for rank in gather(problems) for problem in rank if problem is not None}
    if found:
        raise IrodoriError("; ".join(sorted(found)))


class ReadErrors(Watcher):
    """Reports damaged images, and stops a run with too many, or if a shard is unreachable.

    A damaged image is reported once, with shard, key and reason. Its share of an epoch is computed
    over all ranks; a rank that exceeds the limit of a whole epoch stops the run at once. An
    unreachable shard stops the run before a step without its samples is saved.

    Args:
        max_share: largest share of damaged images in an epoch.
        epoch_images: number of images per rank and epoch.
    """

    def __init__(self, max_share: float, epoch_images: int) -> None:
        self.max_share = max_share
        self.epoch_images = epoch_images
        self._seen = 0
        self._bad: list[str] = []
        self._named: set[str] = set()
        self._trained: tuple[int, list[str]] = (0, [])
        self._loaded: list[tuple[int, list[str]]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the counts of every rank in this epoch's finished training batches."""
        return {"ranks": gather(self._trained)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the counts until training starts."""
        self._loaded = state_dict["ranks"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue with the loaded counts, if there are as many ranks as before."""
        if (counts := own_value(self._loaded)) is not None:
            self._trained = counts
            self._seen, self._bad = counts[0], list(counts[1])

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count a training batch."""
        self._count(batch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count it for the next checkpoint, which is written before or after the whole batch."""
        seen, bad = self._trained
        self._trained = seen + len(batch["keys"]), [*bad, *batch["bad"]]

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any, **__: Any
    ) -> None:
        """Count a validation batch."""
        self._count(batch)

    def _count(self, batch: dict[str, Any]) -> None:
        self._seen += len(batch["keys"])
        self._bad += batch["bad"]
        if batch["lost"]:
            self.problem = (
                f"{batch['lost'][0]}: evaluate again or resume the run when it is available"
            )
        elif len(self._bad) > self.max_share * self.epoch_images:
            self._name()
            self.problem = self._too_many(len(self._bad), self._seen)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch, including its validations."""
        self._report(trainer, f"epoch {trainer.current_epoch + 1}")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report a validation outside of training."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._report(trainer, "validation")

    def _report(self, trainer: Trainer, phase: str) -> None:
        self._name()
        raise_problems([self.problem])
        bad, seen = map(sum, zip(*gather((len(self._bad), self._seen)), strict=True))
        self._bad, self._seen, self._trained = [], 0, (0, [])
        if bad and trainer.is_global_zero:
            print(f"{bad} of {seen} images ({bad / seen:.1%}) were damaged ({phase})", flush=True)
        if bad > self.max_share * seen:
            raise IrodoriError(self._too_many(bad, seen))

    def _name(self) -> None:
        """Print a line for each new damaged image."""
        for line in sorted(set(self._bad)):
            # The reason may contain a memory address, which varies.
            sample = ": ".join(line.split(": ")[:2])
            if sample not in self._named:
                print(f"damaged image, left out: {line}", flush=True)
            self._named.add(sample)

    def _too_many(self, bad: int, seen: int) -> str:
        return (
            f"{bad} of {seen} images ({bad / seen:.1%}) can't be read or decoded, more than"
            f" data.max_bad_share={self.max_share:.1%} of an epoch; repair or remove them (listed"
            " above)"
        )


class FiniteLoss(Watcher):
    """Stops a run whose loss is not finite, without synchronizing in every step.

    Losses are read every `log_every_n_steps` steps and before a checkpoint is written.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._losses: list[tuple[int, list[str], Tensor]] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the samples of the next loss."""
        self._keys = batch["keys"]

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Keep the loss on the device."""
        self._losses.append((trainer.global_step + 1, self._keys, loss.detach()))

    def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Check the losses when rows are logged."""
        steps = self._losses[-1][0] - self._losses[0][0] + 1
        if steps >= trainer.log_every_n_steps:  # type: ignore[attr-defined]
            self.look()

    def look(self) -> None:
        """Read all losses since the last check at once."""
        if not self._losses:
            return
        values = torch.stack([loss for _, _, loss in self._losses]).tolist()
        for (step, keys, _), loss in zip(self._losses, values, strict=True):
            if self.problem is None and not abs(loss) < float("inf"):
                self.problem = (
                    f"the loss of step {step} is {loss} (samples {', '.join(keys)}): look at these"
                    " images, or lower optimizer.lr or set trainer.gradient_clip_val; the last"
                    " checkpoint was written before"
                )
        self._losses = []
