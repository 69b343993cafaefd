"""A requested run: configuration, folder and overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from irodori.runs.folder import write_config
from irodori.utils.run_files import CHECKPOINTS, CONFIG, LAST, METRICS

NOT_STORED = {"resume": None, "allow_changes": False}
"""Keys about resuming, which are not part of a run's stored configuration."""


@dataclass(frozen=True)
class Run:
    """A training run or an evaluation.

    Attributes:
        config: configuration; for a resumed run, the stored one with changes.
        folder: run folder; for a new run, the requested one.
        overrides: overrides of the command line.
        named: whether the user named the folder.
        changes: for a resumed run, a message for each value that differs from its config.yaml.
    """

    config: DictConfig
    folder: Path
    overrides: Sequence[str] = ()
    named: bool = False
    changes: Sequence[str] = ()

    @property
    def resumed(self) -> bool:
        """Whether the run is resumed."""
        return self.config.resume is not None

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint to resume from; None for a new run."""
        last = self.folder / CHECKPOINTS / LAST
        return last if self.resumed and last.is_file() else None

    def in_folder(self, folder: Path) -> "Run":
        """Return a copy of the run with another folder."""
        return replace(self, folder=folder)

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML."""
        config = self.config.copy()
        for key, value in NOT_STORED.items():
            if key in config:
                config[key] = value
        return OmegaConf.to_yaml(config, resolve=True)

    def settings(self) -> dict[str, Any]:
        """Return the resolved configuration as plain types, for loggers."""
        settings: Any = OmegaConf.to_container(self.config, resolve=True)
        return {key: value for key, value in settings.items() if key not in NOT_STORED}

    def update_folder(self, step: int) -> None:
        """Write the configuration of a resumed run, and remove metrics of an earlier end.

        If config.yaml changes, the previous one is kept as `config-until-step-<n>.yaml`.
        """
        path = self.folder / CONFIG
        if path.read_text() != self.to_yaml():
            former = path.with_name(f"config-until-step-{step}.yaml")
            if not former.exists():
                path.rename(former)
            write_config(self.folder, self.to_yaml())
        (self.folder / METRICS).unlink(missing_ok=True)
