"""Walking through folders."""

import os
from collections.abc import Container, Iterator
from pathlib import Path

from irodori.utils.errors import IrodoriError


def walk(root: Path, folder: str = "") -> Iterator[str]:
    """Yield the files below `root/folder`, relative to `root`; sorted, files before subfolders.

    Hidden files and folders are skipped; links are followed.

    Raises:
        IrodoriError: a folder can't be read, or a link leads to one of its parents.
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
        raise IrodoriError(f"the folder {path} is a link to one of its parents: remove the link")
    prefix = f"{folder}/" if folder else ""
    yield from (prefix + name for name, is_dir in items if not is_dir)
    for name, is_dir in items:
        if is_dir:
            yield from _walk(root, prefix + name, (*parents, identity))


def pictures_by_name(folder: Path, suffixes: Container[str]) -> dict[str, Path]:
    """Return the pictures below a folder, by relative name without suffix.

    Args:
        folder: folder to search, see `walk`.
        suffixes: suffixes in lower case, with dot.

    Raises:
        IrodoriError: the folder doesn't exist, has no pictures, or two with the same name.
    """
    if not folder.is_dir():
        raise IrodoriError(f"{folder} is not a folder")
    found: dict[str, Path] = {}
    for path in map(Path, walk(folder)):
        if path.suffix.lower() in suffixes:
            other = found.setdefault(path.with_suffix("").as_posix(), folder / path)
            if other != folder / path:
                raise IrodoriError(
                    f"{folder / path} and {other.name} have the same name without suffix"
                )
    if not found:
        raise IrodoriError(f"{folder} contains no pictures")
    return found
