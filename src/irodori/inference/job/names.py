"""Names of results: `<tree>/<stem>.<suffix>`, and never two alike."""

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
    """Return the suffix of a photo's result, with its dot: its own wherever that is right.

    Args:
        photo: its name; nothing is read.
        format: of the result; None: the photo's own, or what stands for it in `READ`.
    """
    own = photo.suffix.lower()
    format = format or READ.get(own)
    if format is None or WRITTEN.get(own) == format:
        return photo.suffix
    return next(suffix for suffix, name in WRITTEN.items() if name == format)


def result_names(sources: Sequence[Source], format: str | None) -> list[PurePath]:
    """Return where each result lies below the output folder.

    A result has its photo's place and stem, and the suffix of its format. Where that would be the
    name of another result, too, the photo whose suffix changes has it added instead (`a.tif` →
    `a.tif.png`); if that doesn't help, the name of the folder it was found in stands before it, and
    at last a part of the SHA-256 of its path is added to its stem. Names that differ in case
    or in Unicode's normal form alone count as alike, since they are in many file systems.

    Names depend neither on the order of the photos nor on what exists; and on other photos only
    if those would have the same name.

    Args:
        sources: photos, each path once.
        format: of all results; None: each in its own.
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
    """Return names for a result, from the one that is wanted to the one that nobody else has.

    Where the photo's own name is wanted it comes twice: it stays where a changed one gives way.
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
    """Return which of the names are alike, or the name of a folder of others."""
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
    """Return the same for names that are one in a file system without case or normal forms."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(name)).casefold())
