"""Handling of URLs that name shards."""

import re
from urllib.parse import quote, unquote


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
