"""Composition of configurations: resolvers, checks against signatures, instantiation."""

import os
from pathlib import Path

from omegaconf import OmegaConf

from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import CONFIG

PROJECT = Path(__file__).resolve().parents[3]
"""The checkout, which holds conf/ and data/."""


def existing_run(folder: str) -> Path:
    """Return the absolute path of a run folder.

    Raises:
        IrodoriError: no run is there.
    """
    # As Hydra makes paths absolute: without following links.
    path = Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100
    if path.is_file():
        raise IrodoriError(f"resume={folder} is a file: name the run's folder")
    if not (path / CONFIG).is_file():
        raise IrodoriError(f"resume={folder}: no run is there ({path / CONFIG} is missing)")
    return path


def register() -> None:
    """Register the resolvers of conf/ with OmegaConf; it may be called again.

    `${project:}` is the checkout's folder, `${or_default:x}` is x, or "default" where x is null,
    `${run_folder_or:x,y}` is the run folder x, which must hold a run, or y where x is null.
    """
    OmegaConf.register_new_resolver("project", lambda: str(PROJECT), replace=True)
    OmegaConf.register_new_resolver("or_default", lambda x: x or "default", replace=True)
    OmegaConf.register_new_resolver(
        "run_folder_or", lambda x, y: y if x is None else str(existing_run(x)), replace=True
    )
