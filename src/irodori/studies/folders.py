"""From what the user names to the folders of single runs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import CONFIG, JOB, METRICS


def run_folders(given: Sequence[Path]) -> list[Path]:
    """The folders of runs, evaluations and sweeps' jobs, each once, by name within a folder.

    Raises:
        IrodoriError: a folder doesn't exist or holds no run.
    """
    found: dict[Path, Path] = {}
    for folder in given:
        if not folder.is_dir():
            raise IrodoriError(f"{folder} is no folder: name run folders, or a sweep's folder")
        below = list(_below(folder))
        if not below:
            raise IrodoriError(
                f"{folder} holds no run: neither {CONFIG} nor {METRICS} is in it or below"
            )
        for path in below:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    """This folder if it is a run's; else those below it."""
    for place, folders, files in os.walk(folder):
        if {CONFIG, METRICS, JOB} & set(files):
            yield Path(place)
            folders.clear()  # W&B keeps a config.yaml of its own in a run's folder.
        folders.sort(key=lambda name: (len(name), name) if name.isdigit() else (0, name))
