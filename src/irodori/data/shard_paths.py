"""Naming shards: paths, globs, brace patterns and URLs."""

import glob
import hashlib
import http.client
import re
import shutil
import urllib.request
from pathlib import Path

from braceexpand import braceexpand

from irodori.data.files import replacing
from irodori.errors import IrodoriError, one_line


def is_url(shard: object) -> bool:
    """Whether a shard is named by an http(s) URL."""
    return str(shard).startswith(("http://", "https://"))


def expand(pattern: str) -> list[Path | str]:
    """The shards that a path, a glob (`*`, `?`) or a brace pattern (`{000..003}`) names.

    Paths are absolute; URLs stay text. What a glob matches is sorted; nothing is named twice.
    Raises IrodoriError if the pattern, or one part of it, matches nothing.
    """
    literal = Path(pattern).expanduser().absolute()
    if literal.is_file():  # even if its name holds braces or a star
        return [literal]
    found: list[Path | str] = []
    for piece in pieces(pattern):
        if is_url(piece):
            found.append(piece)
            continue
        # Path.glob would match hidden files too, such as those that some systems leave in copies.
        matches = sorted(Path(match) for match in glob.glob(glob_of(piece)))  # noqa: PTH207
        if not matches:
            folder = folder_of(piece)
            looked = f"looked in {folder}" if folder.is_dir() else f"there is no folder {folder}"
            part = "" if piece == pattern else f" (its part {piece!r})"
            raise IrodoriError(f"no shard matches {pattern!r}{part}: {looked}; correct the pattern")
        for match in matches:
            if match.is_dir():
                raise IrodoriError(f"{match} is a folder: name its shards, as in '{match}/*.tar'")
        found += matches
    return list(dict.fromkeys(found))


def fetch(url: str, cache_dir: Path) -> Path:
    """Download a shard into the cache folder, whole or not at all; once there it is reused.

    Raises IrodoriError if the server cannot be reached, refuses, or sends less than it announced.
    """
    name = re.split("[?#]", url)[0].rsplit("/", 1)[-1]
    path = Path(cache_dir).absolute() / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(url, timeout=60) as response, replacing(path) as file:
            shutil.copyfileobj(response, file, 1 << 20)
            announced = response.headers.get("Content-Length")
            # A connection that breaks off looks like the end of the file to `read`.
            if announced is not None and file.tell() != int(announced):
                raise OSError(f"got {file.tell()} of {announced} bytes")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise IrodoriError(f"cannot download {url}: {one_line(error)}; try again") from error
    return path


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
