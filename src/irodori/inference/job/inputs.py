"""The photos that are meant by files, folders and patterns."""

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
    """A photo to be colorized.

    path: the file. tree: its place below the output folder, as in the folder it was found in.
    folder: the name of that folder.
    """

    path: Path
    tree: PurePath
    folder: str


@dataclass
class Found:
    """Photos in a stable order, and what isn't one.

    skipped: files of folders that are no photos by their suffixes, with what to do about them.
    unread: folders that can't be read and arguments without photos, with the reasons.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)

    def add(self, path: Path, tree: PurePath, folder: Path) -> None:
        """Add a file of a folder: by its suffix it is a photo or not."""
        suffix = path.suffix.lower()
        if suffix in READ:
            self.sources.append(Source(path, tree, _name(folder)))
        elif is_hint_file(path):
            self.skipped.append((path, "a hint file: --hints auto uses it"))
        elif suffix != ".xmp":  # what it says of the photo beside it is read with that
            self.skipped.append((path, UNREAD.get(suffix, "no photo by its name")))

    def add_unread(self, error: OSError) -> None:
        """Add a folder that can't be read."""
        self.unread.append((Path(str(error.filename)), error.strerror or str(error)))


def find_photos(arguments: Sequence[str], output: Path | None) -> Found:
    """Return the photos that the arguments of a command mean, each once, in a stable order.

    A named file is always a photo, whether it exists or not. In folders and among the matches of a
    pattern the suffix decides, and hidden files are left out (`._a.jpg`, too, which some systems
    write beside `a.jpg`). Links are followed; what lies in a loop of them is found once.

    Args:
        arguments: files, folders, or patterns with *, ?, [ and **.
        output: a folder that isn't searched where it lies inside of another; None for none.

    Raises:
        IrodoriError: nothing is found, or a folder is the output as well.
    """
    found = Found()
    without: list[str] = []
    for argument in arguments:
        path = Path(argument).expanduser()
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
    if not found.sources and not found.unread:
        reasons = "".join(f"; {path}: {reason}" for path, reason in found.skipped[:1])
        raise IrodoriError(
            f"{' '.join(arguments)}: no photo there{reasons};"
            f" known suffixes are {' '.join(sorted(READ))}"
        )
    found.unread += [(Path(argument), "no photo there") for argument in without]
    return found


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; Path's own method raises for a circle of links."""
    return os.path.isdir(path)  # noqa: PTH112


def is_pattern(argument: str) -> bool:
    """Return whether an argument is a pattern, and no file whose name looks like one."""
    return not MAGIC.isdisjoint(argument) and not os.path.lexists(Path(argument).expanduser())


def _once(sources: list[Source]) -> list[Source]:
    """Keep photos that are named twice once: with the longer tree, whatever was named first."""
    kept: dict[str, Source] = {}
    for source in sources:
        key = os.path.abspath(source.path)  # noqa: PTH100  (".." goes, links stay)
        other = kept.setdefault(key, source)
        kept[key] = max(other, source, key=lambda found: (len(found.tree.parts), found.folder))
    return list(kept.values())


def _matches(pattern: Path) -> tuple[Path, list[Path]]:
    """Return a pattern's last folder without magic, and the paths below it that match."""
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
            f"{root}: its photos and their results would lie in one folder; choose another --output"
        )
    for path in paths:
        tree = path.relative_to(root)
        hidden = any(part.startswith(".") for part in tree.parts)
        within = output and path != root and path.resolve().is_relative_to(output.resolve())
        if is_folder(path) and not hidden and not within:
            _walk(path, tree, root, output, found)
        elif not hidden and not within:
            found.add(path, tree, root)


def _walk(root: Path, tree: PurePath, top: Path, output: Path | None, found: Found) -> None:
    """Add the photos below a folder, whose place in the tree below `top` is `tree`."""
    seen = {identity_of(output)} if output is not None else set()
    # Linked folders come last: what they lead to is named by its own place if it has one.
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
                # Pipes and the like are no photos; a link to nothing is reported as a bad photo.
                if not name.startswith(".") and (path.is_symlink() or path.is_file()):
                    found.add(path, place / name, top)


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return the same for all names of a file or folder; None if it can't be found."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name  # noqa: PTH100  (".." goes, links stay)


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
