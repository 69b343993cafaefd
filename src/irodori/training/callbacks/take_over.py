"""What a run folder says of its run once the run really goes on, and not before."""

from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from irodori.training.run_folder import CONFIG, METRICS, write_config


class TakeOver(Callback):
    """Brings a run folder up to date when a run's checkpoint has been taken over.

    A change that doesn't fit the checkpoint leaves the folder as it was. Where config.yaml changes,
    the one before stays as `config-until-step-<n>.yaml`.

    Args:
        folder: the run folder.
        config: content of config.yaml.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Figures of an earlier end hold no more."""
        if trainer.is_global_zero:
            self._take_over(trainer.global_step)
            (self.folder / METRICS).unlink(missing_ok=True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """There may be nothing left to train."""
        if trainer.is_global_zero:
            self._take_over(trainer.global_step)

    def _take_over(self, step: int) -> None:
        path = self.folder / CONFIG
        if path.read_text() != self.config:
            former = path.with_name(f"config-until-step-{step}.yaml")
            if not former.exists():
                path.rename(former)
            write_config(self.folder, self.config)
