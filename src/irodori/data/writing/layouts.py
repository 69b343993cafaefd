"""Layouts of sources, and their detection.

Supported are class folders, CSV files, and the unpacked archives of Places365, Places205 and
ImageNet.
"""

import csv
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from irodori.data.index import NO_CLASS
from irodori.data.writing.source import (
    TRAIN,
    VAL,
    Entry,
    Source,
    images_and_others,
    refuse_beside_folders,
)
from irodori.utils.errors import IrodoriError
from irodori.utils.files import read_lines

_IMAGES_205 = ("images256", "data/vision/torralba/deeplearning/images256")
_PLACES: dict[str, tuple[str, dict[str, tuple[str, tuple[str, ...]]]]] = {
    "places365": (
        "categories_places365.txt",
        {
            TRAIN: (
                "places365_train_standard.txt",
                ("data_256", "data_large", "data_256_standard", "data_large_standard"),
            ),
            VAL: ("places365_val.txt", ("val_256", "val_large")),
        },
    ),
    "places205": (
        "categoryIndex_places205.csv",
        {TRAIN: ("train_places205.csv", _IMAGES_205), VAL: ("val_places205.csv", _IMAGES_205)},
    ),
}
"""The list of class names, and for each split the list of images and its possible folders."""
_KAGGLE = "ILSVRC/Data/CLS-LOC"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def read_source(path: Path, layout: str | None = None) -> Source:
    """List the images of a source; `layout` overrides the detected one.

    Raises:
        IrodoriError: the path doesn't exist, the layout is unknown or doesn't match, or there are
            no images.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise IrodoriError(f"{path} does not exist: correct the path of the source")
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
    """Read class folders; a nested folder is a separate class, named by its path.

    A folder that contains only images has no classes.

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
    notes = (f"nested folders are separate classes: {nested[0]}{more}",) if nested else ()
    ids = {"": NO_CLASS, **{name: number for number, name in enumerate(classes)}}
    entries = [Entry(path, ids[folder]) for path, folder in zip(images, folders, strict=True)]
    return Source("folders", root, entries, tuple(classes), others, notes)


def read_csv(path: Path) -> Source:
    """Read a CSV with the header `path,label`; paths are relative to the CSV's folder.

    An empty label or a missing column means no class. A column `split` must contain train or val.
    Class names are sorted, integers by value.

    Raises:
        IrodoriError: a line is invalid; the message names it.
    """
    rows: list[tuple[str, str, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if "path" not in (reader.fieldnames or ()):
                raise IrodoriError(f"{path}: no column 'path': the first line must be path,label")
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


def is_places(root: Path, layout: str) -> bool:
    """Return whether a folder contains a list of this version of Places."""
    categories, sides = _PLACES[layout]
    return any(_find(root, name) for name in (categories, *(name for name, _ in sides.values())))


def read_places(root: Path, layout: str) -> Source:
    """Read a version of Places as downloaded: lists, and images such as `data_256/a/abbey/….jpg`.

    Training and validation images are read if they exist. Without a list of class names, the names
    of the images' folders are used.
    """
    categories, sides = _PLACES[layout]
    rows: list[tuple[str, int, str]] = []
    for split, (name, folders) in sides.items():
        folder, listed = _existing(root, folders), _find(root, name)
        if folder is not None and listed is None:
            raise IrodoriError(f"{root}: {folder}/ exists, but its list {name} is missing: add it")
        if folder is not None and listed is not None:
            rows += [(f"{folder}/{path}", label, split) for path, label in _pairs(listed)]
    if not rows:
        wanted = ", ".join(name for _, folders in sides.values() for name in folders)
        raise IrodoriError(f"{root} holds none of the folders {wanted} with its list: add them")
    named = _find(root, categories)
    pairs = _pairs(named) if named else [(path.rpartition("/")[0], n) for path, n, _ in rows]
    if not pairs:
        raise IrodoriError(f"{named} is empty: download the list again")
    names = {label: _class_name(path) for path, label in reversed(pairs)}
    if named and sorted(label for _, label in pairs) != list(range(len(pairs))):
        raise IrodoriError(f"{named}: the class ids are not 0, 1, …: download the list again")
    classes = tuple(names.get(label, str(label)) for label in range(max(names) + 1))
    beyond = next((row for row in rows if row[1] >= len(classes)), None)
    if beyond is not None:
        raise IrodoriError(
            f"{root}: {beyond[0]} is listed with class id {beyond[1]}, but {categories} has "
            f"{len(classes)} classes"
        )
    return Source(layout, root, [Entry(*row) for row in rows], classes)


def is_imagenet(root: Path) -> bool:
    """Return whether `train/` and `val/` exist, also within the layout of Kaggle's archive."""
    return _imagenet_prefix(root) is not None


def read_imagenet(root: Path) -> Source:
    """Read `train/<class>/….JPEG` and `val/`, in class folders or flat with the published labels.

    Labels of a flat `val/` come from LOC_val_solution.csv, or from
    ILSVRC2012_validation_ground_truth.txt with map_clsloc.txt, which maps its numbers to classes.
    """
    prefix = _imagenet_prefix(root)
    if prefix is None:
        raise IrodoriError(f"{root}: no folders train and val: unpack ImageNet's archives there")
    sides = {split: images_and_others(root, prefix + split) for split in (TRAIN, VAL)}
    class_of: dict[str, str] = {}
    for split, (images, _) in sides.items():
        start = len(f"{prefix}{split}/")
        class_of |= {path: path[start:].rpartition("/")[0] for path in images}
    refuse_beside_folders(root, [path for path in sides[TRAIN][0] if not class_of[path]])
    flat = [path for path in sides[VAL][0] if not class_of[path]]
    truth = _truth(root) if flat else {}
    for path in flat:
        stem = path.rpartition("/")[2].partition(".")[0]
        if stem not in truth:
            raise IrodoriError(
                f"{path} has no published label: remove it, or move it to a class folder"
            )
        class_of[path] = truth[stem]
    classes = tuple(sorted(set(class_of.values())))
    ids = {name: number for number, name in enumerate(classes)}
    entries = [
        Entry(path, ids[class_of[path]], split)
        for split, (images, _) in sides.items()
        for path in images
    ]
    return Source("imagenet", root, entries, classes, (*sides[TRAIN][1], *sides[VAL][1]))


def _imagenet_prefix(root: Path) -> str | None:
    for prefix in ("", f"{_KAGGLE}/"):
        if all((root / f"{prefix}{split}").is_dir() for split in (TRAIN, VAL)):
            return prefix
    return None


def _truth(root: Path) -> dict[str, str]:
    """Return the class of each validation image by file stem."""
    solution = _find(root, "LOC_val_solution.csv")
    numbers, meaning = _find(root, _TRUTH), _find(root, "map_clsloc.txt")
    try:
        if solution is not None:
            rows = csv.reader(line for _, line in read_lines(solution))
            next(rows, None)  # ImageId,PredictionString
            return {stem: boxes.split()[0] for stem, boxes in rows}
        if numbers is not None and meaning is not None:
            class_ids = {line.split()[1]: line.split()[0] for _, line in read_lines(meaning)}
            return {
                f"ILSVRC2012_val_{number:08d}": class_ids[line]
                for number, (_, line) in enumerate(read_lines(numbers), start=1)
            }
    except (ValueError, LookupError):
        raise IrodoriError(
            f"{solution or numbers} is incomplete or damaged, or map_clsloc.txt beside it: download"
            " the lists again"
        ) from None
    raise IrodoriError(
        f"{root}: the validation images are not in class folders and have no labels: "
        f"add LOC_val_solution.csv, or {_TRUTH} and map_clsloc.txt, or sort them into folders"
    )


def _find(root: Path, name: str) -> Path | None:
    """Return the path of a list in the root or in the folder that its archive creates."""
    # Not recursive: searching class folders with millions of files would take minutes.
    found = (path for x in ("", "*/", "*/data/") for path in sorted(root.glob(x + name)))
    return next(found, None)


def _existing(root: Path, folders: Sequence[str]) -> str | None:
    """Return the existing one of several folders. Raises IrodoriError if several exist."""
    found = [name for name in folders if (root / name).is_dir()]
    if len(found) > 1:
        raise IrodoriError(
            f"{root} holds both {found[0]} and {found[1]}, the same images in two sizes: "
            "move one away"
        )
    return found[0] if found else None


def _pairs(listed: Path) -> list[tuple[str, int]]:
    """Return path and class id of each line, such as "a/abbey/x.jpg 0", or comma-separated."""
    pairs = []
    for number, line in read_lines(listed):
        match = re.fullmatch(r"(.+?)[\s,]+(\d+)", line)
        if match is None:
            raise IrodoriError(
                f"{listed}, line {number}: {line[:80]!r} is not a path and a class id"
            )
        pairs.append((match[1].strip("/"), int(match[2])))
    return pairs


def _class_name(path: str) -> str:
    """Return "abbey" for "a/abbey", whose first letter is only a folder."""
    match = re.search(r"(?:^|/)[a-z]/(.+)", path)
    return match[1] if match else path


LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Source]]] = {
    "csv": (Path.is_file, read_csv),
    **{
        name: (partial(is_places, layout=name), partial(read_places, layout=name))
        for name in _PLACES
    },
    "imagenet": (is_imagenet, read_imagenet),
    "folders": (Path.is_dir, read_folders),
}
"""Test and reader of each layout, in order of detection."""
