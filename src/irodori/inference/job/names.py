"""Unique names of results: `<tree>/<stem>.<suffix>`."""

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath

from irodori.imageio import READ, WRITTEN
from irodori.inference.job.inputs import Source
from irodori.utils.files import LONGEST


def suffix_for(photo: PurePath, format: str | None) -> str:
    """Return the suffix of a photo's result, with dot: the photo's own if it matches the format.

    Args:
        photo: name of the photo; the file is not read.
        format: format of the result; None: the photo's own, or its replacement in `READ`.
    """
    own = photo.suffix.lower()
    format = format or READ.get(own)
    if format is None or WRITTEN.get(own) == format:
        return photo.suffix
    return next(suffix for suffix, name in WRITTEN.items() if name == format)


def result_names(sources: Sequence[Source], format: str | None) -> list[PurePath]:
    """Return the path of each result relative to the output folder.

    A result has its photo's relative path and stem, and the suffix of its format. If several
    results would have the same name, those whose suffix changes append it instead (`a.tif` →
    `a.tif.png`), then prepend the name of the searched folder, and finally append a part of the
    path's SHA-256 to the stem. Names that differ only in case or Unicode normalization count as
    equal, as in many file systems.

    Names depend neither on the order of photos nor on existing files, and on other photos only if
    their names would be equal.

    Args:
        sources: photos with distinct paths.
        format: format of all results; None: that of each photo.
    """
    candidates = [_candidates(source, format) for source in sources]
    level = [0] * len(sources)
    while True:
        names = [names[i] for names, i in zip(candidates, level, strict=True)]
        movable = [n for n in _clash(names) if level[n] + 1 < len(candidates[n])]
        if not movable:
            return names
        for number in movable:
            level[number] += 1


def _candidates(source: Source, format: str | None) -> list[PurePath]:
    """Return candidate names for a result, from the preferred one to a unique one.

    A preferred name that equals the photo's is listed twice, so that it has priority over changed
    ones.
    """
    tree = source.tree
    suffix = suffix_for(tree, format)
    whole = tree if suffix == tree.suffix else tree.with_name(tree.name + suffix)
    wanted = tree.with_suffix(suffix) if tree.suffix.lower() in READ else whole
    digest = hashlib.sha256(os.fsencode(source.path.absolute())).hexdigest()
    stem = os.fsencode(whole.name.removesuffix(suffix))

    def with_digest(length: int) -> PurePath:
        kept = stem[: LONGEST - length - 1 - len(os.fsencode(suffix))].decode(errors="ignore")
        return whole.with_name(f"{kept}-{digest[:length]}{suffix}")

    names = [wanted, whole, PurePath(source.folder) / whole, with_digest(8), with_digest(64)]
    return [name if len(os.fsencode(name.name)) <= LONGEST else with_digest(8) for name in names]


def _clash(names: Sequence[PurePath]) -> set[int]:
    """Return the indices of names that equal another name or one of its parent folders."""
    alike: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        alike[_key(name)].append(number)
    folders = {
        _key(folder)
        for parent in {name.parent for name in names}
        for folder in (parent, *parent.parents)
    }
    return {
        number
        for key, numbers in alike.items()
        if len(numbers) > 1 or key in folders
        for number in numbers
    }


def _key(name: PurePath) -> str:
    """Return a key that is equal for names differing only in case or Unicode normalization."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(name)).casefold())
