"""The names of files in a run folder, and its checkpoint; free of imports that take time."""

import os
from pathlib import Path

import yaml

from irodori.utils.errors import IrodoriError

CONFIG = "config.yaml"
"""The file that makes a folder a run folder."""
METRICS = "metrics.json"
METRICS_CSV = "metrics.csv"
"""Logged metrics, a row a step or epoch."""
PER_IMAGE = "per_image.csv"
PICTURES = "pictures"
JOB = "job.json"
"""A sweep's record of its job."""
CHECKPOINTS = "checkpoints"
LAST = "last.ckpt"
BEST = "best.ckpt"


def without_aliases(text: str) -> str:
    """Return a YAML text, or raise ValueError if it has aliases: a few can stand for terabytes."""
    if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise ValueError("it has YAML aliases, which are written by no run")
    return text


def checkpoint_file(given: Path) -> Path:
    """Return the checkpoint that is meant by a file or a folder.

    In a run folder that is the best, or else the last; in a folder of runs, such as that of an
    experiment or a sweep, that of the run whose checkpoint is the newest.

    Raises:
        IrodoriError: there is none.
    """
    if not given.is_dir():
        if not given.exists():
            raise IrodoriError(f"{given}: no such checkpoint or run folder")
        return given
    for folder in (given / CHECKPOINTS, given):
        for name in (BEST, LAST):
            if (folder / name).is_file():
                return folder / name
    runs = [path for depth in ("*", "*/*") for path in given.glob(f"{depth}/{CHECKPOINTS}/*.ckpt")]
    if runs:
        return checkpoint_file(max(runs, key=lambda path: path.stat().st_mtime).parent)
    raise IrodoriError(f"{given}: no run folder: it has no {CHECKPOINTS}/{BEST} or {LAST}")


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


def model_name(given: Path) -> str:
    """Return the name of a run by its last two folders, or of a file without its suffix.

    A file in the cache of the Hugging Face hub has the name of its repository and commit.
    """
    if given.parent.parent.name == "snapshots":
        repository = given.parents[2].name.removeprefix("models--").replace("--", "/")
        return f"{repository}@{given.parent.name[:8]}"
    path = given.resolve()
    if path.is_dir():
        folder, kind = path, ""
    elif path.parent.name == CHECKPOINTS:
        folder, kind = path.parent.parent, f" ({path.stem})"
    else:
        return path.stem
    if folder.name == CHECKPOINTS:
        folder = folder.parent
    return f"{folder.parent.name}/{folder.name}{kind}"
