"""Names of files in a run folder, and locating checkpoints, without slow imports."""

import os
from pathlib import Path

import yaml

from irodori.utils.errors import IrodoriError

CONFIG = "config.yaml"
"""The configuration, whose existence marks a run folder."""
METRICS = "metrics.json"
METRICS_CSV = "metrics.csv"
"""Logged metrics, one row per step or epoch."""
PER_IMAGE = "per_image.csv"
PICTURES = "pictures"
JOB = "job.json"
"""The sweep's record of the job."""
CHECKPOINTS = "checkpoints"
LAST = "last.ckpt"
BEST = "best.ckpt"


def without_aliases(text: str) -> str:
    """Return a YAML text; raise ValueError if it has aliases, which can expand to terabytes."""
    if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise ValueError("it has YAML aliases, which runs never write")
    return text


def checkpoint_file(given: Path) -> Path:
    """Return the checkpoint for a given file or folder.

    In a run folder it is the best or else the last one; in a folder of runs, such as an experiment
    or a sweep, that of the run with the newest checkpoint.

    Raises:
        IrodoriError: there is no checkpoint.
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
    raise IrodoriError(f"{given}: not a run folder: it has no {CHECKPOINTS}/{BEST} or {LAST}")


def existing_run(folder: str) -> Path:
    """Return the absolute path of a run folder.

    Raises:
        IrodoriError: the folder doesn't contain a run.
    """
    # Like Hydra, without following links.
    path = Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100
    if path.is_file():
        raise IrodoriError(f"resume={folder} is a file: give the run's folder")
    if not (path / CONFIG).is_file():
        raise IrodoriError(f"resume={folder}: not a run folder ({path / CONFIG} is missing)")
    return path


def model_name(given: Path) -> str:
    """Return the name of a model: a run's last two folders, or a file's stem.

    A file in the cache of the Hugging Face hub is named by its repository and commit.
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
