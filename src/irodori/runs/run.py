"""A requested run: configuration, overrides, and a unique folder with its files."""

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from irodori.config.overrides import quoted
from irodori.utils.errors import IrodoriError
from irodori.utils.files import LOCK, write_file
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
                write_file(former, path.read_bytes())
            write_file(path, self.to_yaml().encode())
        (self.folder / METRICS).unlink(missing_ok=True)


def create_new_folder(folder: Path) -> Path:
    """Create the folder, or the first of folder-2, folder-3, … that doesn't exist."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for path in _numbered(folder):
        with suppress(FileExistsError):
            path.mkdir()
            return path
    raise AssertionError("there are always more numbers")


def create_run_folder(folder: Path, config: str, named: bool) -> Path:
    """Create the run folder (adding a number if necessary) and write config.yaml.

    Raises:
        IrodoriError: the user named the folder, and it already contains a run.
    """
    for path in _numbered(folder):
        path.mkdir(parents=True, exist_ok=True)
        try:
            # If two runs start at the same time, only one can create the file.
            (path / CONFIG).touch(exist_ok=False)
        except FileExistsError:
            if named:
                raise IrodoriError(
                    f"{folder} contains a run: resume it with {resume_command(folder)}, or choose"
                    " another folder"
                ) from None
            continue
        try:
            write_file(path / CONFIG, config.encode())
        except OSError:
            (path / CONFIG).unlink()  # an empty file would mark a run
            raise
        return path
    raise AssertionError("there are always more numbers")


def _numbered(folder: Path) -> Iterator[Path]:
    """Yield the folder, and then its name with numbers added."""
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that is empty except for its lock."""
    if folder.is_dir() and all(path.name == LOCK for path in folder.iterdir()):
        shutil.rmtree(folder)


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """Remove the folder after the block if it is empty; Hydra creates it before all checks."""
    try:
        yield
    finally:
        remove_if_empty(folder)


def resume_command(folder: Path) -> str:
    """Return the shell command that resumes the run in a folder."""
    text = str(folder)
    if not re.fullmatch(r"[\w./:+-]+", text, re.ASCII):
        text = quoted(text)
    return "irodori train " + shlex.quote(f"resume={text}")
