"""Expanding shard patterns: paths, globs, braces and URLs."""

import glob
import os
import re
from collections.abc import Callable, Iterable
from fnmatch import filter as matching
from pathlib import Path
from urllib.parse import quote, unquote

from braceexpand import braceexpand

from irodori.utils.errors import IrodoriError


def is_url(name: object) -> bool:
    """Return whether a name is a URL of any scheme."""
    return isinstance(name, str) and re.match(r"[A-Za-z][\w+.-]*://", name) is not None


def is_web(url: str) -> bool:
    """Return whether a URL is http or https; only these have queries and %-encoded names."""
    return url.startswith(("http://", "https://"))


def split(url: str) -> tuple[str, str, str]:
    """Split a URL into folder (without trailing slash), last part, and query with the "?"."""
    path = re.split("[?#]", url, maxsplit=1)[0] if is_web(url) else url
    folder, _, name = path.rpartition("/")
    return folder, name, url[len(path) :]


def folder_of(url: str) -> str:
    """Return the URL of a file's folder, without trailing slash but with the file's query."""
    folder, _, query = split(url)
    return folder + query


def in_folder(folder: str, name: str) -> str:
    """Return the URL of a file in a folder (as `folder_of` gives it)."""
    parent, last, query = split(folder)
    return f"{parent}/{last}/{quote(name) if is_web(folder) else name}{query}"


def name_of(url: str) -> str:
    """Return the last part of a URL, decoded."""
    name = split(url)[1]
    return unquote(name) if is_web(url) else name


def redacted(url: str) -> str:
    """Return a URL for messages, without user, password and query, which may be credentials."""
    folder, name, query = split(url)
    return re.sub(r"//[^/]*@", "//", f"{folder}/{name}") + ("?…" if query else "")


def expand(pattern: str, names_in: Callable[[str], Iterable[str]]) -> list[Path | str]:
    """Return the shards that match a path, a glob (`*`, `?`) or a brace pattern (`{000..003}`).

    Returned paths are absolute; URLs stay strings. The last part of a URL may be a glob, except
    that "?" begins the query in http(s). Matches of a glob are sorted, without duplicates.

    Args:
        names_in: returns the names of the files in a remote folder (a URL without trailing slash).

    Raises:
        IrodoriError: the pattern, or one part of it, matches nothing.
    """
    pattern = pattern.removeprefix("file://")
    literal = Path(pattern).expanduser().absolute()
    # Even if its name contains braces or a star. Path's own method raises for long lists.
    if os.path.isfile(literal):  # noqa: PTH113
        return [literal]
    found: list[Path | str] = []
    for piece in pieces(pattern):
        matches, where = _urls(piece, names_in) if is_url(piece) else _paths(piece)
        if not matches:
            part = "" if piece == pattern else f" (its part {piece!r})"
            raise IrodoriError(f"no shard matches {pattern!r}{part}: {where}; correct the pattern")
        found += matches
    return list(dict.fromkeys(found))


def pieces(pattern: str) -> list[str]:
    """Expand the braces of a pattern.

    Raises:
        IrodoriError: the braces are unbalanced.
    """
    try:
        return list(braceexpand(pattern, escape=False))
    except ValueError as error:
        raise IrodoriError(
            f"unbalanced braces in the shard pattern {pattern!r}: write them as in {{000..003}}"
        ) from error


def glob_of(piece: str) -> str:
    """Return the piece as an absolute glob in which only `*` and `?` are special."""
    return str(Path(piece).expanduser().absolute()).replace("[", "[[]")


def _paths(piece: str) -> tuple[list[Path], str]:
    """Return the files that match a glob, and a note on where they were searched."""
    # Path.glob would also match hidden files, which some systems add to copies.
    matches = sorted(Path(match) for match in glob.glob(glob_of(piece)))  # noqa: PTH207
    for match in matches:
        if match.is_dir():
            raise IrodoriError(f"{match} is a folder: name its shards, as in '{match}/*.tar'")
    path = Path(piece).expanduser().absolute()
    folder = next(parent for parent in path.parents if not re.search(r"[*?]", str(parent)))
    return matches, f"looked in {folder}" if folder.is_dir() else f"there is no folder {folder}"


def _urls(piece: str, names_in: Callable[[str], Iterable[str]]) -> tuple[list[str], str]:
    """Return the files that match a URL, and a note on where they were searched."""
    folder, name, _ = split(piece)
    wild = r"[*]" if is_web(piece) else r"[*?]"
    if re.search(wild, folder):
        raise IrodoriError(f"{piece}: only the last part of a URL may contain a *")
    if not name:
        raise IrodoriError(f"{piece} is a folder: name its shards, as in '{piece}*.tar'")
    if not re.search(wild, name):
        return [piece], ""
    found = matching(names_in(folder_of(piece)), name_of(piece).replace("[", "[[]"))
    # As in a local glob, hidden files only match explicitly.
    names = sorted(x for x in found if name.startswith(".") or not x.startswith("."))
    return [in_folder(folder_of(piece), x) for x in names], f"looked in {folder}/"
