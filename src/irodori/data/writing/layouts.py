"""Detection of a source's layout; class folders and lists in CSV."""

import csv
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from irodori.data.index import NO_CLASS
from irodori.data.writing import published
from irodori.data.writing.source import (
    TRAIN,
    VAL,
    Entry,
    Source,
    images_and_others,
    refuse_beside_folders,
)
from irodori.utils.errors import IrodoriError


def read_source(path: Path, layout: str | None = None) -> Source:
    """List a source's images; `layout` forces how it is read.

    Raises:
        IrodoriError: the path isn't there, the layout is unknown or doesn't fit, or there are no
            images.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise IrodoriError(f"there is no {path}: correct the path of the source")
    if layout is None:
        layout = next(name for name, (fits, _) in LAYOUTS.items() if fits(path))
    elif layout not in LAYOUTS:
        raise IrodoriError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    elif path.is_file() != (layout == "csv"):
        raise IrodoriError(f"layout {layout} needs a {'file' if layout == 'csv' else 'folder'}")
    source = LAYOUTS[layout][1](path)
    if not source.entries:
        raise IrodoriError(f"no images in {path} (layout {layout}): correct the path of the source")
    return source


def read_folders(root: Path) -> Source:
    """Read class folders; a nested one is a class of its own, named by its path.

    A folder that holds nothing but images has no classes.

    Raises:
        IrodoriError: there are images beside the class folders.
    """
    images, others = images_and_others(root)
    folders = [path.rpartition("/")[0] for path in images]
    classes = sorted(set(folders) - {""})
    if classes:
        refuse_beside_folders(root, [path for path in images if "/" not in path])
    nested = [name for name in classes if "/" in name]
    more = f" and {len(nested) - 1:,} more" if len(nested) > 1 else ""
    notes = (f"nested folders are classes of their own: {nested[0]}{more}",) if nested else ()
    ids = {"": NO_CLASS, **{name: number for number, name in enumerate(classes)}}
    entries = [Entry(path, ids[folder]) for path, folder in zip(images, folders, strict=True)]
    return Source("folders", root, entries, tuple(classes), others, notes)


def read_csv(path: Path) -> Source:
    """Read a CSV with the header `path,label`, paths relative to the CSV's folder.

    An empty label, or no such column, is no class. With a column `split` each row says train or
    val. Class names are sorted, whole numbers by their value.

    Raises:
        IrodoriError: a line isn't like that; the message names it.
    """
    rows: list[tuple[str, str, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if "path" not in (reader.fieldnames or ()):
                raise IrodoriError(f"{path}: no column 'path': its first line is path,label")
            has_split = "split" in (reader.fieldnames or ())
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or None in row.values() or not row["path"]:
                    raise IrodoriError(f"{where}: its fields do not fit the header: correct it")
                split = row["split"].strip() if has_split else ""
                if has_split and split not in (TRAIN, VAL):
                    raise IrodoriError(f"{where}: split is {split!r}: write train or val")
                image = Path(os.path.relpath(path.parent / row["path"], path.parent)).as_posix()
                rows.append((image, row.get("label", "").strip(), split))
    except OSError as error:
        raise IrodoriError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"{path} is not UTF-8: save it as UTF-8") from error
    except csv.Error as error:
        raise IrodoriError(f"{path}, line {reader.line_num}: {error}: correct it") from error
    names = {label for _, label, _ in rows} - {""}
    numbers = all(name.isdecimal() for name in names)
    classes = tuple(sorted(names, key=(lambda name: (int(name), name)) if numbers else None))
    ids = {"": NO_CLASS, **{name: number for number, name in enumerate(classes)}}
    entries = [Entry(image, ids[label], split) for image, label, split in rows]
    return Source("csv", path.parent, entries, classes)


LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Source]]] = {
    "csv": (Path.is_file, read_csv),
    **{
        name: (
            partial(published.is_places, layout=name),
            partial(published.read_places, layout=name),
        )
        for name in ("places365", "places205")
    },
    "imagenet": (published.is_imagenet, published.read_imagenet),
    "folders": (Path.is_dir, read_folders),
}
"""The test and the reader of each layout; the first that fits is taken."""
