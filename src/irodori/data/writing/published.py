"""Places365, Places205 and ImageNet as they come out of their archives."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from irodori.data.writing.source import (
    TRAIN,
    VAL,
    Entry,
    Source,
    images_and_others,
    lines_of,
    refuse_beside_folders,
)
from irodori.utils.errors import IrodoriError

_CATEGORIES_365 = "categories_places365.txt"
_LISTS_365 = {TRAIN: "places365_train_standard.txt", VAL: "places365_val.txt"}
_FOLDERS_365 = {
    TRAIN: ("data_256", "data_large", "data_256_standard", "data_large_standard"),
    VAL: ("val_256", "val_large"),
}
_FOLDERS_205 = ("images256", "data/vision/torralba/deeplearning/images256")
_KAGGLE = "ILSVRC/Data/CLS-LOC"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def is_places365(root: Path) -> bool:
    """Return whether the lists of Places365 lie there."""
    return _find(root, _CATEGORIES_365) is not None


def read_places365(root: Path) -> Source:
    """Read `data_256/a/abbey/….jpg` (or `data_large/`), `val_256/` (or `val_large/`) and lists.

    What is there of training and validation is taken.
    """
    categories = _find(root, _CATEGORIES_365)
    if categories is None:
        raise IrodoriError(
            f"{root}: no {_CATEGORIES_365}: put the lists of Places365 beside images"
        )
    classes = _class_names(categories)
    entries: list[Entry] = []
    for split, name in _LISTS_365.items():
        folder = _existing(root, _FOLDERS_365[split])
        listed = _find(root, name)
        if folder is not None and listed is None:
            raise IrodoriError(f"{root}: {folder}/ is there, but not its list {name}: add it")
        if folder is not None and listed is not None:
            entries += _listed_entries(listed, folder, split, classes)
    if not entries:
        raise IrodoriError(f"{root}: neither data_256, data_large, val_256 nor val_large: add them")
    return Source("places365", root, entries, classes)


def is_places205(root: Path) -> bool:
    """Return whether the lists of Places205 lie there."""
    return _find(root, "train_places205.csv") is not None


def read_places205(root: Path) -> Source:
    """Read `images256/a/abbey/….jpg` and `trainvalsplit_places205/{train,val}_places205.csv`."""
    folder = _existing(root, _FOLDERS_205)
    if folder is None:
        raise IrodoriError(f"{root}: no folder images256: unpack the images of Places205 there")
    found = {split: _find(root, f"{split}_places205.csv") for split in (TRAIN, VAL)}
    lists = {split: path for split, path in found.items() if path is not None}
    categories = _find(root, "categoryIndex_places205.csv")
    if categories is not None:
        classes = _class_names(categories)
    else:  # the folders of the images say it, too
        names: dict[int, str] = {}
        for listed in lists.values():
            for image, label in _pairs(listed):
                names.setdefault(label, _without_letter(image.rpartition("/")[0]))
        classes = tuple(names.get(label, str(label)) for label in range(max(names, default=-1) + 1))
    entries = [
        entry
        for split, listed in lists.items()
        for entry in _listed_entries(listed, folder, split, classes)
    ]
    if not entries:
        raise IrodoriError(f"{root}: no train_places205.csv: put the lists of Places205 there")
    return Source("places205", root, entries, classes)


def is_imagenet(root: Path) -> bool:
    """Return whether there are `train/` and `val/`, there or where Kaggle's archive has them."""
    return _imagenet_prefix(root) is not None


def read_imagenet(root: Path) -> Source:
    """Read `train/<class>/….JPEG` and `val/`, in class folders or flat with the published truth.

    The truth of a flat `val/` is LOC_val_solution.csv, or ILSVRC2012_validation_ground_truth.txt
    with map_clsloc.txt, which says what its numbers mean.
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
            raise IrodoriError(f"{path} is not in the published truth: remove or sort it in")
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
    """Return the class of each validation image by its file's stem."""
    solution = _find(root, "LOC_val_solution.csv")
    if solution is not None:
        rows = csv.reader(line for _, line in lines_of(solution))
        next(rows, None)  # ImageId,PredictionString
        return {stem: boxes.split()[0] for stem, boxes in rows}
    numbers, meaning = _find(root, _TRUTH), _find(root, "map_clsloc.txt")
    if numbers is None or meaning is None:
        raise IrodoriError(
            f"{root}: the validation images lie in no class folders and their truth is missing: "
            f"add LOC_val_solution.csv, or {_TRUTH} and map_clsloc.txt, or sort them into folders"
        )
    class_ids = {line.split()[1]: line.split()[0] for _, line in lines_of(meaning)}
    return {
        f"ILSVRC2012_val_{number:08d}": class_ids[line]
        for number, (_, line) in enumerate(lines_of(numbers), start=1)
    }


def _find(root: Path, name: str) -> Path | None:
    """Return a list of that name in the root or in the folder that its archive makes."""
    # Nothing deeper: looking through class folders of millions of files would take minutes.
    found = (path for x in ("", "*/", "*/data/") for path in sorted(root.glob(x + name)))
    return next(found, None)


def _existing(root: Path, folders: Sequence[str]) -> str | None:
    """Return the one of these folders that is there. Raises IrodoriError for several."""
    found = [name for name in folders if (root / name).is_dir()]
    if len(found) > 1:
        raise IrodoriError(
            f"{root} holds both {found[0]} and {found[1]}, the same images in two sizes: "
            "move one away"
        )
    return found[0] if found else None


def _pairs(listed: Path) -> list[tuple[str, int]]:
    """Return the path and the class id of each line, "a/abbey/x.jpg 0" or with a comma."""
    pairs = []
    for number, line in lines_of(listed):
        match = re.fullmatch(r"(.+?)[\s,]+(\d+)", line)
        if match is None:
            raise IrodoriError(
                f"{listed}, line {number}: {line[:80]!r} is not a path and a class id"
            )
        pairs.append((match[1].strip("/"), int(match[2])))
    return pairs


def _class_names(categories: Path) -> tuple[str, ...]:
    """Return class names from lines "/a/abbey 0", in the order of their ids 0, 1, …."""
    pairs = sorted((label, name) for name, label in _pairs(categories))
    if not pairs or [label for label, _ in pairs] != list(range(len(pairs))):
        raise IrodoriError(f"{categories}: the class ids are not 0, 1, …: download the list again")
    return tuple(_without_letter(name) for _, name in pairs)


def _without_letter(path: str) -> str:
    """Return "abbey" for "a/abbey": the first letter is only a folder."""
    first, _, rest = path.partition("/")
    return rest if len(first) == 1 and rest else path


def _listed_entries(listed: Path, folder: str, split: str, classes: Sequence[str]) -> list[Entry]:
    pairs = _pairs(listed)
    beyond = next((label for _, label in pairs if label >= len(classes)), None)
    if beyond is not None:
        raise IrodoriError(f"{listed}: class id {beyond}, but there are {len(classes)} classes")
    return [Entry(f"{folder}/{path}", label, split) for path, label in pairs]
