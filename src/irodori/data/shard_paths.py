"""Naming shards: paths, globs, brace patterns and URLs."""

import glob
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from braceexpand import braceexpand

from irodori.data.remote.source import SCHEMES, in_folder, is_url, name_of, split
from irodori.data.remote.source import folder_of as url_folder
from irodori.errors import IrodoriError


def expand(pattern: str, names_in: Callable[[str], Iterable[str]]) -> list[Path | str]:
    """The shards that a path, a glob (`*`, `?`) or a brace pattern (`{000..003}`) names.

    Paths are absolute; URLs stay text, and may be globs in their last part, where in http(s) a "?"
    begins the query. What a glob matches is sorted; nothing is named twice.

    Args:
        names_in: the names of the files in the folder behind a URL, which ends with no slash.

    Raises IrodoriError if the pattern, or one part of it, matches nothing.
    """
    literal = Path(pattern).expanduser().absolute()
    if literal.is_file():  # even if its name holds braces or a star
        return [literal]
    found: list[Path | str] = []
    for piece in pieces(pattern):
        scheme, separator, _ = piece.partition("://")
        if is_url(piece):
            found += _expand_url(piece, names_in, pattern)
        elif separator and scheme.isalnum():
            raise IrodoriError(f"{piece}: shards are read from {', '.join(SCHEMES)} or local paths")
        else:
            found += _expand_path(piece, pattern)
    return list(dict.fromkeys(found))


def _expand_path(piece: str, pattern: str) -> list[Path]:
    # Path.glob would match hidden files too, such as those that some systems leave in copies.
    matches = sorted(Path(match) for match in glob.glob(glob_of(piece)))  # noqa: PTH207
    if not matches:
        folder = folder_of(piece)
        looked = f"looked in {folder}" if folder.is_dir() else f"there is no folder {folder}"
        raise _no_match(piece, pattern, looked)
    for match in matches:
        if match.is_dir():
            raise IrodoriError(f"{match} is a folder: name its shards, as in '{match}/*.tar'")
    return matches


def _expand_url(piece: str, names_in: Callable[[str], Iterable[str]], pattern: str) -> list[str]:
    folder, name, _ = split(piece)
    wild = "*" if piece.startswith("http") else "*?"
    if any(sign in folder for sign in wild):
        raise IrodoriError(f"{piece}: in a URL only the last part may hold a *")
    if not name:
        raise IrodoriError(f"{piece} is a folder: name its shards, as in '{piece}*.tar'")
    if not any(sign in name for sign in wild):
        return [piece]
    shown = re.compile(
        "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in name_of(piece))
    )
    place = url_folder(piece)
    # As in a local glob, hidden files only match if they are meant.
    matches = sorted(
        file
        for file in names_in(place)
        if shown.fullmatch(file) and (name.startswith(".") or not file.startswith("."))
    )
    if not matches:
        raise _no_match(piece, pattern, f"looked in {folder}/")
    return [in_folder(place, file) for file in matches]


def _no_match(piece: str, pattern: str, looked: str) -> IrodoriError:
    part = "" if piece == pattern else f" (its part {piece!r})"
    return IrodoriError(f"no shard matches {pattern!r}{part}: {looked}; correct the pattern")


def pieces(pattern: str) -> list[str]:
    """The pattern with its braces written out. Raises IrodoriError if they do not match."""
    try:
        return list(braceexpand(pattern, escape=False))
    except ValueError as error:
        raise IrodoriError(
            f"unbalanced braces in the shard pattern {pattern!r}: write them as in {{000..003}}"
        ) from error


def glob_of(piece: str) -> str:
    """The piece as an absolute glob in which only `*` and `?` are special."""
    return str(Path(piece).expanduser().absolute()).replace("[", "[[]")


def folder_of(piece: str) -> Path:
    """The folder in which a piece is looked for: all before its first wildcard."""
    path = Path(piece).expanduser().absolute()
    while path != path.parent:
        path = path.parent
        if not re.search(r"[*?]", str(path)):
            break
    return path
