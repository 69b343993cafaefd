"""A folder of its own for every run, also if two start in the same second; what lies in it."""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from irodori.utils.errors import IrodoriError
from irodori.utils.files import LOCK, replacing
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
    """Make the run folder, or one with a number added, and write config.yaml into it.

    Raises:
        IrodoriError: the user `named` this very folder, and it holds a run.
    """
    for path in _numbered(folder):
        path.mkdir(parents=True, exist_ok=True)
        try:
            # If two runs start at once, one succeeds in making the file.
            (path / CONFIG).touch(exist_ok=False)
        except FileExistsError:
            if named:
                raise IrodoriError(
                    f"{folder} holds a run: resume it by {resume_command(folder)}, or choose"
                    " another folder"
                ) from None
            continue
        try:
            write_config(path, config)
        except OSError:
            (path / CONFIG).unlink()  # An empty one would pass for a run.
            raise
        return path
    raise AssertionError("there are always more numbers")


def _numbered(folder: Path) -> Iterator[Path]:
    """Yield the folder, and others beside it with numbers added."""
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that nothing was written into but its lock."""
    if folder.is_dir() and all(path.name == LOCK for path in folder.iterdir()):
        shutil.rmtree(folder)


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """Remove the folder after the block if nothing is in it: Hydra makes it before all checks."""
    try:
        yield
    finally:
        remove_if_empty(folder)


def remove_stale_files(folder: Path) -> None:
    """Remove files that a killed run was about to write."""
    for part in folder.rglob(".*.part"):
        part.unlink()


def resume_command(folder: Path) -> str:
    """Return the command that resumes the run in a folder, to be typed into a shell."""
    text = str(folder)
    if not re.fullmatch(r"[\w./:+-]+", text, re.ASCII):
        # For Hydra; a backslash counts as such except before a quote.
        text = QuotedString(text, Quote.double).with_quotes()
    return "irodori train " + shlex.quote(f"resume={text}")


def write_config(folder: Path, config: str) -> None:
    """Write config.yaml, whole or not at all."""
    with replacing(folder / CONFIG) as file:
        file.write(config.encode())
