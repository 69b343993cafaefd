"""One walk through folders, for all that look for files."""

import os
from collections.abc import Iterator
from pathlib import Path

from irodori.utils.errors import IrodoriError


def walk(root: Path, folder: str = "") -> Iterator[str]:
    """Yield the files below `root/folder`, relative to `root`, each folder's own sorted and first.

    Hidden files and folders are passed over; links are followed.

    Raises:
        IrodoriError: a folder can't be read, or lies, by a link, within itself.
    """
    yield from _walk(root, folder, ())


def _walk(root: Path, folder: str, parents: tuple[tuple[int, int], ...]) -> Iterator[str]:
    path = root / folder
    try:
        status = path.stat()
        with os.scandir(path) as found:
            items = sorted((x.name, x.is_dir()) for x in found if not x.name.startswith("."))
    except OSError as error:
        raise IrodoriError(f"cannot read the folder {path}: {error.strerror}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        raise IrodoriError(f"the folder {path} is a link to one that it lies in: remove the link")
    prefix = f"{folder}/" if folder else ""
    yield from (prefix + name for name, is_dir in items if not is_dir)
    for name, is_dir in items:
        if is_dir:
            yield from _walk(root, prefix + name, (*parents, identity))
