"""Which photos are meant: files, folders and patterns become a list."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from irodori.inference.job.suffixes import READ
from irodori.utils.errors import IrodoriError

MAGIC = frozenset("*?[")


@dataclass(frozen=True)
class Source:
    """A photo to be coloured.

    path: the file. tree: its place below the output folder, as in the folder it was found in.
    folder: the name of that folder.
    """

    path: Path
    tree: PurePath
    folder: str


@dataclass
class Found:
    """Photos in a stable order; what isn't one.

    skipped: how many files in folders are no photos by their suffixes. unread: folders that can't
    be read, with the reasons.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: int = 0
    unread: list[tuple[Path, str]] = field(default_factory=list)


def find_photos(arguments: Sequence[str], output: Path | None) -> Found:
    """The photos that the arguments of a command mean, each once, sorted by argument and path.

    A named file is always one, be it there or not. In folders and among the matches of a pattern
    the suffix decides, and hidden files are left out (`._a.jpg`, too, which some systems write
    beside `a.jpg`). Links are followed; what lies in a loop of them is found once.

    Args:
        arguments: files, folders, or patterns with *, ?, [ and **.
        output: a folder that isn't searched where it lies inside of another; None for none.

    Raises:
        IrodoriError: nothing is found, or a folder is the output as well.
    """
    found = Found()
    nothing: list[str] = []
    for argument in arguments:
        path = Path(argument).expanduser()
        before = len(found.sources) + len(found.unread)
        if is_folder(path):
            _refuse_output(path, output)
            _walk(path, PurePath(), path, output, found)
        elif MAGIC.isdisjoint(argument) or os.path.lexists(path):
            found.sources.append(Source(path, PurePath(path.name), _name(path.parent)))
        else:
            _match(path, output, found)
        if len(found.sources) + len(found.unread) == before:
            nothing.append(argument)
    found.sources = _once(found.sources)
    if not found.sources and not found.unread:
        raise IrodoriError(
            f"{' '.join(arguments)}: no photo there; known suffixes are {' '.join(sorted(READ))}"
        )
    found.unread += [(Path(argument), "no photo there") for argument in nothing]
    return found


def is_folder(path: Path) -> bool:
    """Whether a path leads to a folder; one that may not be looked at or is a circle doesn't."""
    return os.path.isdir(path)  # noqa: PTH112  (Path's own raises there)


def _once(sources: list[Source]) -> list[Source]:
    """Photos named twice, once: with the longer tree, whatever was named first."""
    kept: dict[str, Source] = {}
    for source in sources:
        key = os.path.abspath(source.path)  # noqa: PTH100  (".." goes, links stay)
        other = kept.setdefault(key, source)
        kept[key] = max(other, source, key=lambda one: (len(one.tree.parts), one.folder))
    return list(kept.values())


def _refuse_output(folder: Path, output: Path | None) -> None:
    if output is not None and output.exists() and output.samefile(folder):
        raise IrodoriError(
            f"{folder}: its photos and their results would lie in one folder; choose another "
            "--output"
        )


def _match(pattern: Path, output: Path | None, found: Found) -> None:
    """The photos of a pattern; their tree begins below its last folder without magic."""
    parts = pattern.parts
    plain = next(i for i, part in enumerate(parts) if not MAGIC.isdisjoint(part))
    root = Path(*parts[:plain])
    _refuse_output(root, output)
    try:
        matches = sorted(root.glob(str(PurePath(*parts[plain:]))))
    except (ValueError, OSError) as error:
        raise IrodoriError(f"{pattern}: not a pattern ({error})") from None
    for match in matches:
        tree = match.relative_to(root)
        if any(part.startswith(".") for part in tree.parts) or _inside(match, output):
            continue
        if is_folder(match):
            _walk(match, tree, root, output, found)
        else:
            _take(match, tree, root, found)


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _take(path: Path, tree: PurePath, root: Path, found: Found) -> None:
    if path.suffix.lower() in READ:
        found.sources.append(Source(path, tree, _name(root)))
    else:
        found.skipped += 1


def _walk(root: Path, tree: PurePath, top: Path, output: Path | None, found: Found) -> None:
    """The photos below a folder, whose place in the tree below `top` is `tree`."""
    seen = {_identity(output)} if output is not None and output.exists() else set()
    # Linked folders come last: what they lead to is named by its own place if it has one.
    links = deque([(root, tree)])
    while links:
        folders = [links.popleft()]
        while folders:
            folder, tree = folders.pop()
            try:
                identity = _identity(folder)
                entries = [] if identity in seen else list(_entries(folder))
            except OSError as error:
                found.unread.append((folder, error.strerror or str(error)))
                continue
            seen.add(identity)
            below = []
            for entry in entries:
                place = (folder / entry.name, tree / entry.name)
                if not is_folder(place[0]):
                    # Pipes and the like are no photos; a link to nothing is told of as a bad one.
                    if entry.is_symlink() or entry.is_file():
                        _take(*place, top, found)
                elif entry.is_symlink():
                    links.append(place)
                else:
                    below.append(place)
            folders += reversed(below)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name  # noqa: PTH100  (".." goes, links stay)
