"""A run as it was asked for: configuration, folder, overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from irodori.runs.folder import write_config
from irodori.utils.run_files import CHECKPOINTS, CONFIG, LAST, METRICS

NOT_STORED = {"resume": None, "allow_changes": False}
"""Keys of how a run is resumed, which are no part of its configuration."""


@dataclass(frozen=True)
class Run:
    """A training run, or an evaluation.

    Attributes:
        config: the configuration; of a resumed run, its own with the changes.
        folder: the run folder; for a new run the wanted one.
        overrides: what the user set on the command line.
        named: the user named this very folder.
        changes: of a resumed run, a line for each value that differs from its config.yaml.
    """

    config: DictConfig
    folder: Path
    overrides: Sequence[str] = ()
    named: bool = False
    changes: Sequence[str] = ()

    @property
    def resumed(self) -> bool:
        """Return whether a run is resumed."""
        return self.config.resume is not None

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint that a run resumes from, None if it starts."""
        last = self.folder / CHECKPOINTS / LAST
        return last if self.resumed and last.is_file() else None

    def in_folder(self, folder: Path) -> "Run":
        """Return the same run in another folder."""
        return replace(self, folder=folder)

    def to_yaml(self) -> str:
        """Return the resolved configuration as config.yaml holds it."""
        config = self.config.copy()
        for key, value in NOT_STORED.items():
            if key in config:
                config[key] = value
        return OmegaConf.to_yaml(config, resolve=True)

    def settings(self) -> dict[str, Any]:
        """Return the resolved configuration as plain types, as loggers store it."""
        settings: Any = OmegaConf.to_container(self.config, resolve=True)
        return {key: value for key, value in settings.items() if key not in NOT_STORED}

    def update_folder(self, step: int) -> None:
        """Write the configuration that a run is resumed with; remove the metrics of an earlier end.

        Where config.yaml changes, the previous one stays as `config-until-step-<n>.yaml`.
        """
        path = self.folder / CONFIG
        if path.read_text() != self.to_yaml():
            former = path.with_name(f"config-until-step-{step}.yaml")
            if not former.exists():
                path.rename(former)
            write_config(self.folder, self.to_yaml())
        (self.folder / METRICS).unlink(missing_ok=True)
