"""Finding photos by files, folders and patterns."""

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
    for path in paths:
        tree = path.relative_to(root)
        hidden = any(part.startswith(".") for part in tree.parts)
        within = output and path != root and path.resolve().is_relative_to(output.resolve())
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
