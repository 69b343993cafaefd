"""A CSV of path, label and perhaps split."""

import csv
import os
from pathlib import Path

from irodori.data.index import NO_CLASS
from irodori.data.writing.source import TRAIN, VAL, Entry, Source
from irodori.utils.errors import IrodoriError


def read_csv(path: Path) -> Source:
    """The images of a CSV with the header `path,label`, paths relative to the CSV's folder.

    An empty label, or no such column, is no class. With a column `split` each row says train or
    val. Class names are sorted, whole numbers by their value.

    Raises IrodoriError, with the line, for what is not so.
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
                rows.append((_relative(path.parent, row["path"]), row.get("label", ""), split))
    except OSError as error:
        raise IrodoriError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise IrodoriError(f"{path} is not UTF-8: save it as UTF-8") from error
    except csv.Error as error:
        raise IrodoriError(f"{path}, line {reader.line_num}: {error}: correct it") from error
    names = {label.strip() for _, label, _ in rows} - {""}
    numbers = all(name.isdecimal() for name in names)
    classes = tuple(sorted(names, key=(lambda name: (int(name), name)) if numbers else None))
    ids = {"": NO_CLASS, **{name: number for number, name in enumerate(classes)}}
    entries = [Entry(image, ids[label.strip()], split) for image, label, split in rows]
    return Source("csv", path.parent, entries, classes)


def _relative(folder: Path, text: str) -> str:
    """The path from the CSV's folder, "/" between parts, without detours."""
    return Path(os.path.relpath(folder / text, folder)).as_posix()
