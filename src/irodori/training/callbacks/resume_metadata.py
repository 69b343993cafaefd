"""Updates a run folder's own files once the run really continues, and not before."""

from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from irodori.runs.folder import write_config
from irodori.utils.run_files import CONFIG, METRICS


class ResumeMetadata(Callback):
    """Brings a run folder up to date when a run's checkpoint has been loaded.

    A change that doesn't fit the checkpoint leaves the folder as it was. Where config.yaml changes,
    the previous one stays as `config-until-step-<n>.yaml`.

    Args:
        folder: the run folder.
        config: content of config.yaml.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove metrics of an earlier end, which are void."""
        if trainer.is_global_zero:
            self._update(trainer.global_step)
            (self.folder / METRICS).unlink(missing_ok=True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Update, too, where there is nothing left to train."""
        if trainer.is_global_zero:
            self._update(trainer.global_step)

    def _update(self, step: int) -> None:
        path = self.folder / CONFIG
        if path.read_text() != self.config:
            former = path.with_name(f"config-until-step-{step}.yaml")
            if not former.exists():
                path.rename(former)
            write_config(self.folder, self.config)
