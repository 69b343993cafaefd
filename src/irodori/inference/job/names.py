"""What results are called: `<tree>/<stem>.<suffix>`, and never two alike."""

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath

from irodori.inference.job.inputs import Source
from irodori.inference.job.suffixes import READ, suffix_for


def result_names(sources: Sequence[Source], format: str | None) -> list[PurePath]:
    """Where each result lies below the output folder.

    A result has its photo's place and stem, and the suffix of its format. Where that would be the
    name of another result, too, the photo whose suffix changes has it added instead (`a.tif` →
    `a.tif.png`); if that doesn't help, the name of the folder it was found in stands before it, and
    at last a part of the SHA-256 of its path is added to its stem. Names that differ in case
    or in Unicode's normal form alone count as alike, since they are in many file systems.

    Names depend neither on the order of the photos nor on what exists; and on other photos only
    if those would have the same name.

    Args:
        sources: photos, each path once.
        format: of all results, Pillow's name; None: each in its own.
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
    """Names for a result, from the one that is wanted to the one that nobody else has.

    Where the photo's own name is wanted it comes twice: it stays where a changed one gives way.
    """
    tree = source.tree
    suffix = suffix_for(tree, format)
    whole = tree if suffix == tree.suffix else tree.with_name(tree.name + suffix)
    wanted = tree.with_suffix(suffix) if tree.suffix.lower() in READ else whole
    digest = hashlib.sha256(os.fsencode(source.path.absolute())).hexdigest()
    stem = whole.name.removesuffix(suffix)
    return [
        wanted,
        whole,
        PurePath(source.folder) / whole,
        *(whole.with_name(f"{stem}-{digest[:length]}{suffix}") for length in (8, 64)),
    ]


def _clash(names: Sequence[PurePath]) -> set[int]:
    """Which of the names are alike, or the name of a folder of others."""
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
    """The same for names that are one in a file system without case or normal forms."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(name)).casefold())
