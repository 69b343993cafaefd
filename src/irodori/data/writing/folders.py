"""A folder of class folders, and the walk through folders that other layouts use too."""

import os
from collections.abc import Iterator
from pathlib import Path

from irodori.data.index import NO_CLASS
from irodori.data.writing.source import Entry, Source
from irodori.utils.errors import IrodoriError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    # These are no kinds that shards take, but pictures, which are to be named as rejected.
    *(".avif", ".heic", ".heif", ".jp2", ".jxl"),
)
"""What an image file may be called; what it is, its bytes say."""


def walk(root: Path, folder: str = "") -> Iterator[str]:
    """The files below `root/folder`, relative to `root`, each folder's own sorted and first.

    Hidden files and folders are passed over. Raises IrodoriError for a folder that cannot be read
    and for one that lies, by a link, within itself.
    """
    yield from _walk(root, folder, ())


def _walk(root: Path, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    place = root / folder
    try:
        status = place.stat()
        with os.scandir(place) as found:
            items = sorted(
                ((item.name, item.is_dir()) for item in found if not item.name.startswith(".")),
            )
    except OSError as error:
        raise IrodoriError(f"cannot read the folder {place}: {error.strerror}") from error
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise IrodoriError(f"the folder {place} is a link to one that it lies in: remove the link")
    prefix = f"{folder}/" if folder else ""
    yield from (prefix + name for name, is_dir in items if not is_dir)
    for name, is_dir in items:
        if is_dir:
            yield from _walk(root, prefix + name, (*above, here))


def images_and_others(
    root: Path, folder: str = ""
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The walk's image files by their names, and the other files with the reason."""
    images: list[str] = []
    others: list[tuple[str, str]] = []
    for path in walk(root, folder):
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  (a Path takes ten times as long)
        if suffix in SUFFIXES:
            images.append(path)
        else:
            others.append((path, "no image by its name"))
    return images, tuple(others)


def read_folders(root: Path) -> Source:
    """Class folders, nested ones with their path as the name; files in the root have no class."""
    images, others = images_and_others(root)
    folders = [path.rpartition("/")[0] for path in images]
    classes = sorted(set(folders) - {""})
    ids = {"": NO_CLASS, **{name: number for number, name in enumerate(classes)}}
    entries = [Entry(path, ids[folder]) for path, folder in zip(images, folders, strict=True)]
    return Source("folders", root, entries, tuple(classes), others)
