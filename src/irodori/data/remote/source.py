"""One file behind a URL, whatever serves it."""

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote

SCHEMES = ("http", "https", "s3", "gs")


class Stat(NamedTuple):
    """What a server says about a file.

    num_bytes: its length. tag: its ETag or modification time, "" where there is neither; another
    tag means another content. ranges: whether parts of it can be asked for.
    """

    num_bytes: int
    tag: str
    ranges: bool


class Body(NamedTuple):
    """A file's content from byte `start` to its end, in chunks that come as they are read."""

    stat: Stat
    start: int
    chunks: Iterator[bytes]


class Source(Protocol):
    """A file on a server; holds no connection, so that it may go to any process.

    Every method raises TransientError where another try may help, and RefusedError where it won't.
    """

    @property
    def url(self) -> str:
        """The file's address."""

    def stat(self) -> Stat:
        """What the server says about the file, without its content."""

    def read(self, start: int, num_bytes: int, stat: Stat) -> bytes:
        """Exactly those bytes of the file that `stat` told of (a tag of "" is any)."""

    def body(self, start: int, tag: str) -> Body:
        """From `start` on if the file still has that tag and the server has ranges, else all."""


def is_url(name: object) -> bool:
    """Whether a shard is named by a URL."""
    return isinstance(name, str) and name.partition("://")[0] in SCHEMES and "://" in name


def source(url: str, timeout: float) -> Source:
    """The file behind a URL; an answer that pauses for `timeout` seconds counts as broken off."""
    if url.startswith("http"):
        from irodori.data.remote.http_source import HttpSource

        return HttpSource(url, timeout)
    from irodori.data.remote.bucket_source import BucketSource

    return BucketSource(url, timeout)


def split(url: str) -> tuple[str, str, str]:
    """A URL's folder (without its last slash), its last part, and its query with the "?".

    Only http(s) has queries: in buckets "?" belongs to names.
    """
    found = re.search(r"[?#]", url) if url.startswith("http") else None
    path, query = (url[: found.start()], url[found.start() :]) if found else (url, "")
    folder, _, name = path.rpartition("/")
    return folder, name, query


def folder_of(url: str) -> str:
    """The address of the folder that a file lies in: without a slash at its end, with its query."""
    folder, _, query = split(url)
    return folder + query


def in_folder(folder: str, name: str) -> str:
    """The address of the file of that name in a folder (as `folder_of` gives it)."""
    parent, last, query = split(folder)
    return f"{parent}/{last}/{quote(name) if folder.startswith('http') else name}{query}"


def name_of(url: str) -> str:
    """The file's name as its folder has it: the last part of the URL, not percent-encoded."""
    name = split(url)[1]
    return unquote(name) if url.startswith("http") else name
