"""Creating a unique folder for every run, and managing its files."""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from irodori.config.overrides import quoted
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing
from irodori.utils.locks import LOCK
from irodori.utils.run_files import CONFIG


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
            write_config(path, config)
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


def remove_stale_files(folder: Path) -> None:
    """Remove unfinished files of a killed run."""
    for part in folder.rglob(".*.part"):
        part.unlink()


def resume_command(folder: Path) -> str:
    """Return the shell command that resumes the run in a folder."""
    text = str(folder)
    if not re.fullmatch(r"[\w./:+-]+", text, re.ASCII):
        text = quoted(text)
    return "irodori train " + shlex.quote(f"resume={text}")


def write_config(folder: Path, config: str) -> None:
    """Write config.yaml atomically."""
    with replacing(folder / CONFIG) as file:
        file.write(config.encode())
