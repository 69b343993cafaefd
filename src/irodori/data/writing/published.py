"""Places365, Places205 and ImageNet as they come out of their archives."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from irodori.data.index import NO_CLASS
from irodori.data.writing.folders import images_and_others
from irodori.data.writing.source import TRAIN, VAL, Entry, Source, lines_of
from irodori.utils.errors import IrodoriError

CATEGORIES_365 = "categories_places365.txt"
_TRAIN_365, _VAL_365 = "places365_train_standard.txt", "places365_val.txt"
_TREES_205 = ("images256", "data/vision/torralba/deeplearning/images256")
_ROOT_KAGGLE = "ILSVRC/Data/CLS-LOC"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def find(root: Path, name: str) -> Path | None:
    """A list of that name in the root or in the folder that its archive makes."""
    # Nothing deeper: looking through class folders of millions of files would take minutes.
    for pattern in (name, f"*/{name}", f"*/data/{name}"):
        for path in sorted(root.glob(pattern)):
            return path
    return None


def is_places365(root: Path) -> bool:
    """Whether the lists of Places365 lie there."""
    return find(root, CATEGORIES_365) is not None


def read_places365(root: Path) -> Source:
    """`data_256/a/abbey/….jpg` (or `data_large/`), `val_256/` (or `val_large/`), and the lists.

    What is there of training and validation is taken.
    """
    categories = find(root, CATEGORIES_365)
    if categories is None:
        raise IrodoriError(f"{root}: no {CATEGORIES_365}: put the lists of Places365 beside images")
    classes = _numbered(categories)
    entries: list[Entry] = []
    trees = [f"data_{size}{tail}" for tail in ("", "_standard") for size in ("256", "large")]
    for split, folders, name in (
        (TRAIN, trees, _TRAIN_365),
        (VAL, ["val_256", "val_large"], _VAL_365),
    ):
        folder = _one_of(root, folders)
        listed = find(root, name)
        if folder is None:
            continue
        if listed is None:
            raise IrodoriError(f"{root}: {folder}/ is there, but not its list {name}: add it")
        entries += _entries(listed, folder, split, classes)
    if not entries:
        raise IrodoriError(f"{root}: neither data_256, data_large, val_256 nor val_large: add them")
    return Source("places365", root, entries, classes)


def is_places205(root: Path) -> bool:
    """Whether the lists of Places205 lie there."""
    return find(root, "train_places205.csv") is not None


def read_places205(root: Path) -> Source:
    """`images256/a/abbey/….jpg` and `trainvalsplit_places205/{train,val}_places205.csv`."""
    folder = _one_of(root, _TREES_205)
    if folder is None:
        raise IrodoriError(f"{root}: no folder images256: unpack the images of Places205 there")
    lists = {split: find(root, f"{split}_places205.csv") for split in (TRAIN, VAL)}
    categories = find(root, "categoryIndex_places205.csv")
    classes = _numbered(categories) if categories else _named_by_paths(lists.values())
    entries = [
        entry
        for split, listed in lists.items()
        if listed is not None
        for entry in _entries(listed, folder, split, classes)
    ]
    if not entries:
        raise IrodoriError(f"{root}: no train_places205.csv: put the lists of Places205 there")
    return Source("places205", root, entries, classes)


def is_imagenet(root: Path) -> bool:
    """Whether there are `train/` and `val/`, there or where Kaggle's archive has them."""
    return any((place / TRAIN).is_dir() and (place / VAL).is_dir() for place in _imagenets(root))


def read_imagenet(root: Path) -> Source:
    """`train/<class>/….JPEG` and `val/`, in class folders or flat with the published truth.

    The truth of a flat `val/` is LOC_val_solution.csv, or ILSVRC2012_validation_ground_truth.txt
    with map_clsloc.txt, which says what its numbers mean.
    """
    places = [p for p in _imagenets(root) if (p / TRAIN).is_dir() and (p / VAL).is_dir()]
    if not places:
        raise IrodoriError(f"{root}: no folders train and val: unpack ImageNet's archives there")
    prefix = places[0].relative_to(root).as_posix() + "/" if places[0] != root else ""
    train, others = images_and_others(root, prefix + TRAIN)
    val, more = images_and_others(root, prefix + VAL)
    names = {path: path.rpartition("/")[0].removeprefix(f"{prefix}{TRAIN}") for path in train}
    names |= {path: path.rpartition("/")[0].removeprefix(f"{prefix}{VAL}") for path in val}
    flat = [path for path in val if not names[path]]
    if flat:
        truth = _truth(root)
        for path in flat:
            stem = path.rpartition("/")[2].partition(".")[0]
            if stem not in truth:
                raise IrodoriError(f"{path} is not in the published truth: remove or sort it in")
            names[path] = "/" + truth[stem]
    classes = tuple(sorted({name[1:] for name in names.values() if name}))
    ids = {"": NO_CLASS, **{f"/{name}": number for number, name in enumerate(classes)}}
    entries = [Entry(path, ids[names[path]], TRAIN) for path in train]
    entries += [Entry(path, ids[names[path]], VAL) for path in val]
    return Source("imagenet", root, entries, classes, (*others, *more))


def _imagenets(root: Path) -> tuple[Path, Path]:
    return root, root / _ROOT_KAGGLE


def _truth(root: Path) -> dict[str, str]:
    """The class of each validation image by its file's stem."""
    solution = find(root, "LOC_val_solution.csv")
    if solution is not None:
        pairs = csv.reader(line for _, line in lines_of(solution))
        next(pairs, None)  # ImageId,PredictionString
        return {stem: boxes.split()[0] for stem, boxes in pairs}
    numbers, meaning = find(root, _TRUTH), find(root, "map_clsloc.txt")
    if numbers is None or meaning is None:
        raise IrodoriError(
            f"{root}: the validation images lie in no class folders and their truth is missing: "
            f"add LOC_val_solution.csv, or {_TRUTH} and map_clsloc.txt, or sort them into folders"
        )
    wnids = {line.split()[1]: line.split()[0] for _, line in lines_of(meaning)}
    return {
        f"ILSVRC2012_val_{number:08d}": wnids[line]
        for number, (_, line) in enumerate(lines_of(numbers), start=1)
    }


def _one_of(root: Path, folders: Sequence[str]) -> str | None:
    """The one of these folders that is there. Raises IrodoriError for several."""
    found = [name for name in folders if (root / name).is_dir()]
    if len(found) > 1:
        raise IrodoriError(
            f"{root} holds both {found[0]} and {found[1]}, the same images in two sizes: "
            "move one away"
        )
    return found[0] if found else None


def _split_line(path: Path, number: int, line: str) -> tuple[str, int]:
    """ "a/abbey/x.jpg 0" → the path and the class id; also with a comma between."""
    match = re.fullmatch(r"(.+?)[\s,]+(\d+)", line)
    if match is None:
        raise IrodoriError(f"{path}, line {number}: {line[:80]!r} is not a path and a class id")
    return match[1].strip("/"), int(match[2])


def _numbered(path: Path) -> tuple[str, ...]:
    """Class names from lines "/a/abbey 0", in the order of their ids 0, 1, …."""
    names: dict[int, str] = {}
    for number, line in lines_of(path):
        name, label = _split_line(path, number, line)
        if label in names:
            raise IrodoriError(f"{path}, line {number}: class id {label} stands there twice")
        names[label] = _class_name(name)
    if sorted(names) != list(range(len(names))) or not names:
        raise IrodoriError(f"{path}: the class ids are not 0, 1, …: download the list again")
    return tuple(names[label] for label in range(len(names)))


def _class_name(path: str) -> str:
    """ "a/abbey" → "abbey": the first letter is only a folder."""
    first, _, rest = path.partition("/")
    return rest if len(first) == 1 and rest else path


def _named_by_paths(lists: Iterable[Path | None]) -> tuple[str, ...]:
    """Class names from the folders of the listed images, where no list of names is there."""
    names: dict[int, str] = {}
    for listed in filter(None, lists):
        for number, line in lines_of(listed):
            path, label = _split_line(listed, number, line)
            names.setdefault(label, _class_name(path.rpartition("/")[0]))
    return tuple(names.get(label, str(label)) for label in range(max(names, default=-1) + 1))


def _entries(listed: Path, folder: str, split: str, classes: Sequence[str]) -> list[Entry]:
    entries = []
    for number, line in lines_of(listed):
        path, label = _split_line(listed, number, line)
        if label >= len(classes):
            raise IrodoriError(
                f"{listed}, line {number}: class id {label}, but there are {len(classes)} classes"
            )
        entries.append(Entry(f"{folder}/{path}", label, split))
    return entries
