"""The photos that are meant by files, folders and patterns."""

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from irodori.imageio import READ, UNREAD
from irodori.inference.hints import is_hint_file
from irodori.utils.errors import IrodoriError

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
