"""Files behind URLs, through fsspec's file systems.

Web servers are asked through the streams of fsspec's own http: its other calls take a whole body
for a range where a server ignores ranges, and don't show which version of the file it is of.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import fsspec
from fsspec.spec import AbstractBufferedFile

from irodori.data.remote.retry import (
    ChangedError,
    MissingError,
    Network,
    RefusedError,
    TransientError,
    retry_after,
    retrying,
)
from irodori.data.remote.urls import is_web, name_of, shown, split
from irodori.utils.errors import IrodoriError, one_line

READ_AHEAD = 1 << 18
"""Bytes of a shard that are asked for at once to scan it: the headers of several small images."""
NO_RANGES = "the server has no range requests, which reading without a cache needs: set data.cache"

_TAGS = ("ETag", "etag", "blob_id", "LastModified", "last_modified", "mtime", "modify", "created")
"""What file systems call that which changes with a file's content, best first."""
_kept: dict[int, Any] = {}
"""File systems that were made. If a forked loader process dropped its parent's, their connections
would be closed, and so taken off the epoll that both processes share."""


class Stat(NamedTuple):
    """What a server says about a file.

    num_bytes: its length. tag: its ETag or modification time, "" where there is neither; another
    tag means another content. ranges: whether parts of it can be asked for.
    """

    num_bytes: int
    tag: str
    ranges: bool = True


@dataclass(frozen=True)
class RemoteFile:
    """A file behind a URL; holds no connection, so that it may go to any process.

    Its methods take one request, and raise TransientError where another try may help, RefusedError
    where it won't. `timeout` seconds of silence count as broken off.
    """

    url: str
    timeout: float

    def stat(self) -> Stat:
        """Return what the server says about the file."""
        with file_system(self.url, self.timeout) as (files, path):
            info = files.info(path)
        if info["type"] == "directory":
            raise MissingError(f"{shown(self.url)} is a folder")
        return Stat(int(info["size"]), next((str(info[k]) for k in _TAGS if info.get(k)), ""))

    def read(self, start: int, num_bytes: int, stat: Stat) -> bytes:
        """Return those bytes of the file that `stat` describes (a tag of "" is any)."""
        with file_system(self.url, self.timeout) as (files, path):
            content: bytes = files.cat_file(path, start=start, end=start + num_bytes)
        if len(content) != num_bytes:
            raise ChangedError(f"{shown(self.url)} has changed since its index was made")
        return content


class WebFile(RemoteFile):
    """A file behind http(s)."""

    def stat(self) -> Stat:
        """Return what the server says with the first byte: URLs signed for GET refuse HEAD."""
        with self._answer(0, 1) as (stat, _, stream):
            if stat.ranges:
                stream.read(1)  # else the connection couldn't be used again
            return stat

    def read(self, start: int, num_bytes: int, stat: Stat) -> bytes:
        """Return those bytes of the file; of a server without ranges, only all of them."""
        with self._answer(start, num_bytes) as (now, first, stream):
            if now.num_bytes != stat.num_bytes or (stat.tag and now.tag != stat.tag):
                raise ChangedError(f"{shown(self.url)} has changed since its index was made")
            if not now.ranges and num_bytes < now.num_bytes:
                raise RefusedError(f"{shown(self.url)}: {NO_RANGES}")
            content = b"".join(iter(lambda: stream.read(1 << 20), b""))
        if first != start or len(content) != num_bytes:
            raise TransientError(f"{shown(self.url)}: the server sent other bytes than asked for")
        return content

    @contextmanager
    def _answer(self, start: int, num_bytes: int) -> Iterator[tuple[Stat, int, Any]]:
        """Give the file's state, the number of the first byte that is sent, and the stream."""
        wanted = f"bytes={start}-{start + num_bytes - 1}"
        with file_system(self.url, self.timeout) as (files, path):
            headers = {"Accept-Encoding": "identity", "Range": wanted}
            # A block size of 0 makes it a stream; with some size fsspec doesn't ask for it.
            with files.open(path, block_size=0, size=1, headers=headers) as stream:
                said = stream.r.headers
                place = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", said.get("Content-Range", ""))
                length = place[2] if place else said.get("Content-Length", "")
                if not length.isdigit() or said.get("Content-Encoding", "identity") != "identity":
                    raise RefusedError(f"{shown(self.url)}: the server doesn't say its length")
                tag, modified = said.get("ETag", ""), said.get("Last-Modified", "")
                tag = modified if not tag or (modified and tag.startswith("W/")) else tag
                yield (
                    Stat(int(length), tag, place is not None),
                    int(place[1]) if place else 0,
                    stream,
                )


def remote_file(url: str, timeout: float) -> RemoteFile:
    """Return the file behind a URL."""
    return (WebFile if is_web(url) else RemoteFile)(url, timeout)


class RangeFile(AbstractBufferedFile):
    """A file behind a URL as a seekable one, read in ranges; reading raises RefusedError."""

    def __init__(self, file: RemoteFile, stat: Stat, network: Network) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            None, file.url, block_size=READ_AHEAD, size=stat.num_bytes
        )
        self.file, self.stat, self.network = file, stat, network

    def _fetch_range(self, start: int, end: int) -> bytes:
        file, stat = self.file, self.stat
        return retrying(file.url, lambda: file.read(start, end - start, stat), self.network)


def names_in(folder: str, network: Network) -> list[str]:
    """Return the names of the files in a folder; none where the server doesn't list them.

    Raises:
        RefusedError: the server can't be asked.
    """
    parent, last, query = split(folder)
    url = f"{parent}/{last}/{query}"

    def ask() -> list[str]:
        with file_system(url, network.timeout) as (files, path):
            return [name_of(name) for name in files.ls(path, detail=False)]

    try:
        return retrying(url, ask, network)
    except MissingError:
        return []


@contextmanager
def file_system(url: str, timeout: float) -> Iterator[tuple[Any, str]]:
    """Give fsspec's file system for a URL and the file's path in it, and translate its errors.

    Raises:
        RefusedError, TransientError: what the file system raises; the scheme isn't known.
        IrodoriError: the scheme's package isn't installed.
    """
    scheme = url.partition("://")[0]
    options: dict[str, Any] = {"use_listings_cache": False}
    try:
        if is_web(url):
            import aiohttp

            silence = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
            options["client_kwargs"] = {"timeout": silence, "trust_env": True}
            options["encoded"] = True
        elif scheme == "s3":
            once = {"total_max_attempts": 1}  # `retrying` is what asks again
            timeouts = {"connect_timeout": timeout, "read_timeout": timeout}
            options["config_kwargs"] = {**timeouts, "retries": once}
        elif scheme == "gs":
            options["requests_timeout"] = timeout
        # As given, but for blanks and such.
        address = quote(url, safe="%/:=&?~#+!$,;'@()*[]") if is_web(url) else url
        files, path = fsspec.url_to_fs(address, **options)  # type: ignore[no-untyped-call]
        _kept[id(files)] = files
        yield files, path
    except ImportError as error:
        package = f"pip install 'irodori[{scheme}]'" if scheme in ("s3", "gs") else one_line(error)
        raise IrodoriError(
            f"{scheme}:// needs a package that is not installed: {package}"
        ) from error
    except (RefusedError, TransientError):
        raise
    except Exception as error:
        raise _translated(error, url) from error


def _translated(error: Exception, url: str) -> OSError:
    """Return one of our errors for one of a client's, which have no common base."""
    url, said = shown(url), one_line(error).replace(url, shown(url))
    response = getattr(error, "response", None)
    status = getattr(error, "status", getattr(response, "status_code", None))  # aiohttp's, hf's
    status = getattr(error, "code", None) if status is None else status  # gcsfs's
    if isinstance(error, FileNotFoundError):
        return MissingError(f"{url} does not exist")
    if isinstance(error, TimeoutError):
        return TransientError(f"{url}: no answer in time")
    if isinstance(status, int) and status >= 400:
        said = f"{url}: HTTP {status} {getattr(error, 'message', '')}".rstrip()
        if status in (408, 429) or status >= 500:
            headers = getattr(error, "headers", getattr(response, "headers", None))
            return TransientError(said, wait=retry_after(headers or {}))
        return (MissingError if status in (403, 410) else RefusedError)(said)
    if isinstance(error, PermissionError):
        return MissingError(f"{url}: no access ({said})")
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    passing = isinstance(error, OSError) or re.search("Connect|Timeout|Payload|HTTPClient", kinds)
    return (TransientError if passing and "SSL" not in kinds else RefusedError)(f"{url}: {said}")
