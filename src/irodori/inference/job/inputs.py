"""Finding photos by files, folders and patterns."""

import hashlib
import os
import unicodedata
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from irodori.imageio import READ, UNREAD, WRITTEN
from irodori.inference.hints import is_hint_file
from irodori.utils.errors import IrodoriError
from irodori.utils.files import LONGEST

MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class Source:
    """A photo to colorize.

    path: path of the file. tree: its path relative to the searched folder, kept below the output
    folder. folder: name of the searched folder.
    """

    path: Path
    tree: PurePath
    folder: str


@dataclass
class Found:
    """Photos in a stable order, and other files.

    skipped: files that are not photos by their suffixes, with advice. unread: unreadable folders
    and arguments without photos, with reasons.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)

    def add(self, path: Path, tree: PurePath, folder: Path) -> None:
        """Add a file of a folder, as a photo or as skipped according to its suffix."""
        suffix = path.suffix.lower()
        if suffix in READ:
            self.sources.append(Source(path, tree, _name(folder)))
        elif is_hint_file(path):
            self.skipped.append((path, "a hint file: --hints auto uses it"))
        elif suffix != ".xmp":  # a sidecar, read with its photo
            self.skipped.append((path, UNREAD.get(suffix, "not a photo by its name")))

    def add_unread(self, error: OSError) -> None:
        """Record an unreadable folder."""
        self.unread.append((Path(str(error.filename)), error.strerror or str(error)))


def find_photos(arguments: Sequence[str], output: Path | None) -> Found:
    """Return the photos for the arguments of a command, each once, in a stable order.

    An explicitly named file is always a photo, whether it exists or not. Files in folders and
    matches of patterns are selected by suffix, without hidden files (such as `._a.jpg`, which some
    systems add). Links are followed; files in loops of links are found once.

    Args:
        arguments: files, folders, or patterns with *, ?, [ and **.
        output: output folder, which is not searched if it is inside another one; None for none.

    Raises:
        IrodoriError: no photo is found, or a folder is also the output.
    """
    found = Found()
    without: list[str] = []
    for argument in arguments:
        path = expanded(argument)
        before = len(found.sources) + len(found.unread)
        if is_folder(path):
            _search(path, [path], output, found)
        elif is_pattern(argument):
            _search(*_matches(path), output, found)
        else:
            found.sources.append(Source(path, PurePath(path.name), _name(path.parent)))
        if len(found.sources) + len(found.unread) == before:
            without.append(argument)
    found.sources = _once(found.sources)
    found.skipped = list(dict.fromkeys(found.skipped))
    found.unread = list(dict.fromkeys(found.unread))
    if not found.sources and not found.unread:
        reasons = "".join(f"; {path}: {reason}" for path, reason in found.skipped[:1])
        raise IrodoriError(
            f"{' '.join(arguments)}: no photo there{reasons};"
            f" known suffixes are {' '.join(sorted(READ))}"
        )
    found.unread += [(Path(argument), "no photo there") for argument in without]
    return found


def expanded(argument: str) -> Path:
    """Expand `~`; `Path.expanduser` raises an error for a file such as `~scan.jpg`."""
    return Path(os.path.expanduser(argument))  # noqa: PTH111


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; `Path.is_dir` raises an error for a loop of links."""
    return os.path.isdir(path)  # noqa: PTH112


def is_pattern(argument: str) -> bool:
    """Return whether an argument is a pattern, and not an existing file that looks like one."""
    return not MAGIC.isdisjoint(argument) and not os.path.lexists(expanded(argument))


def _once(sources: list[Source]) -> list[Source]:
    """Remove duplicates, keeping the longer tree independently of the order."""
    kept: dict[str, Source] = {}
    for source in sources:
        key = os.path.abspath(source.path)  # noqa: PTH100  (".." goes, links stay)
        other = kept.setdefault(key, source)
        kept[key] = max(other, source, key=lambda found: (len(found.tree.parts), found.folder))
    return list(kept.values())


def _matches(pattern: Path) -> tuple[Path, list[Path]]:
    """Return a pattern's longest folder without wildcards, and the matching paths below it."""
    plain = next(i for i, part in enumerate(pattern.parts) if not MAGIC.isdisjoint(part))
    root = Path(*pattern.parts[:plain])
    try:
        return root, sorted(root.glob(str(PurePath(*pattern.parts[plain:]))))
    except (ValueError, OSError) as error:
        raise IrodoriError(f"{pattern}: not a pattern ({error})") from None


def _search(root: Path, paths: Sequence[Path], output: Path | None, found: Found) -> None:
    """Add the photos among paths and in folders below `root`."""
    if output is not None and output.exists() and output.samefile(root):
        raise IrodoriError(
            f"{root}: photos and results would be in the same folder; choose another --output"
        )
    # Results of an earlier command are no photos.
    results = output.resolve() if output is not None else None
    if results is not None and not results.is_relative_to(root.resolve()):
        results = None
    for path in paths:
        tree = path.relative_to(root)
        hidden = any(part.startswith(".") for part in tree.parts)
        within = results is not None and path.resolve().is_relative_to(results)
        if is_folder(path) and not hidden and not within:
            _walk(path, tree, root, output, found)
        elif not hidden and not within:
            found.add(path, tree, root)


def _walk(root: Path, tree: PurePath, top: Path, output: Path | None, found: Found) -> None:
    """Add the photos below a folder, whose path relative to `top` is `tree`."""
    seen = {identity_of(output)} if output is not None else set()
    # Linked folders come last, so that files are preferably found at their real path.
    links = deque([(root, tree)])
    while links:
        start, start_tree = links.popleft()
        for name, folders, files in os.walk(start, onerror=found.add_unread):
            folder = Path(name)
            place = start_tree / folder.relative_to(start)
            identity = identity_of(folder)
            if identity in seen:
                folders.clear()
                continue
            seen.add(identity)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            links += [
                (folder / name, place / name) for name in folders if (folder / name).is_symlink()
            ]
            for name in sorted(files):
                path = folder / name
                # Skips pipes and the like; a broken link is reported as an unreadable photo.
                if not name.startswith(".") and (path.is_symlink() or path.is_file()):
                    found.add(path, place / name, top)


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return an identity shared by all paths of a file or folder; None if it doesn't exist."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name  # noqa: PTH100  (".." goes, links stay)


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
