"""Files behind URLs, through fsspec's file systems, with retries.

Web servers are read through the streams of fsspec's http: its other calls accept a whole body if a
server ignores ranges, and don't reveal the version of the file.
"""

import random
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import fsspec
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import tokenize

from irodori.data.remote.urls import is_web, name_of, redacted, split
from irodori.utils.errors import IrodoriError, one_line

READ_AHEAD = 1 << 18
"""Bytes per request when a shard is scanned, which contain the headers of several small images."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds between two tries, initially and at most; jitter takes off up to half."""
LONGEST_RETRY_AFTER = 300.0
"""Longest wait in seconds that a server may ask for."""
NO_RANGES = "the server doesn't support range requests, needed without a cache: set data.cache"

Answer = TypeVar("Answer")

_failing: set[str] = set()
"""Files and hosts that this process gave up on and that haven't answered since. They get one try
each: otherwise every sample of a dead server would wait for all retries again."""
_file_systems: dict[int, Any] = {}
"""Keeps file systems alive: a forked loader process that dropped its parent's would close their
connections, and so remove them from the epoll that both processes share."""


class RefusedError(OSError):
    """Raised if a file is unavailable and retrying won't help; the message names the file."""


class MissingError(RefusedError):
    """Raised if a file doesn't exist or access is denied."""


class ChangedError(RefusedError):
    """Raised if a file has changed."""


class TransientError(OSError):
    """Raised if a request failed that may succeed after `wait` seconds."""

    wait = 0.0


@dataclass(frozen=True)
class Network:
    """Retry settings: number of retries, and timeout in seconds."""

    retries: int = 8
    timeout: float = 30.0


class Stat(NamedTuple):
    """Properties of a file as reported by its server.

    num_bytes: size of the file. tag: identifier that changes with the content; "" if there is none.
    ranges: whether range requests are supported.
    """

    num_bytes: int
    tag: str
    ranges: bool = True


@dataclass(frozen=True)
class RemoteFile:
    """A file behind a URL, for any process; methods raise RefusedError if it is unavailable."""

    url: str
    network: Network

    def stat(self) -> Stat:
        """Return the properties of the file as reported by the server."""

        def ask(files: Any, path: str) -> Stat:
            if is_web(self.url):  # requests a byte, since URLs signed for GET reject HEAD
                return self._get(files, path, 0, 1)[0]
            info = files.info(path)
            if info["type"] == "directory":
                raise MissingError(f"{redacted(self.url)} is a folder")
            return Stat(int(info["size"]), tokenize(info))

        return ask_patiently(self.url, ask, self.network)

    def read(self, start: int, num_bytes: int, stat: Stat) -> bytes:
        """Return a range of the file with the tag of `stat` ("" matches any)."""
        url = redacted(self.url)
        changed = ChangedError(f"{url} has changed since its index was made")

        def ask(files: Any, path: str) -> bytes:
            content: bytes
            if is_web(self.url):
                now, content = self._get(files, path, start, num_bytes)
                if now.num_bytes != stat.num_bytes or (stat.tag and now.tag != stat.tag):
                    raise changed
                if not now.ranges and num_bytes < now.num_bytes:
                    raise RefusedError(f"{url}: {NO_RANGES}")
            else:
                content = files.cat_file(path, start=start, end=start + num_bytes)
            if len(content) != num_bytes:
                raise changed
            return content

        return ask_patiently(self.url, ask, self.network)

    def _get(self, files: Any, path: str, start: int, num_bytes: int) -> tuple[Stat, bytes]:
        """Return a file's properties and a range of it; no bytes if the server ignores ranges."""
        wanted = f"bytes={start}-{start + num_bytes - 1}"
        headers = {"Accept-Encoding": "identity", "Range": wanted}
        # A block size of 0 opens a stream.
        with files.open(path, block_size=0, size=1, headers=headers) as stream:
            answer = stream.r.headers
            found = re.fullmatch(rf"bytes {start}-\d+/(\d+)", answer.get("Content-Range", ""))
            length = found[1] if found else answer.get("Content-Length", "")
            if not length.isdigit() or answer.get("Content-Encoding", "identity") != "identity":
                raise RefusedError(
                    f"{redacted(self.url)}: the server doesn't report the file's size"
                )
            tag = answer.get("ETag") or answer.get("Last-Modified", "")
            stat = Stat(int(length), tag, ranges=found is not None)
            if not stat.ranges and num_bytes < stat.num_bytes:
                return stat, b""
            return stat, b"".join(iter(lambda: stream.read(1 << 20), b""))


class RangeFile(AbstractBufferedFile):
    """A remote file as a seekable file object; reading raises RefusedError."""

    def __init__(self, file: RemoteFile, stat: Stat) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            None, file.url, block_size=READ_AHEAD, size=stat.num_bytes
        )
        self.file, self.stat = file, stat

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.file.read(start, end - start, self.stat)


def names_in(folder: str, network: Network) -> list[str]:
    """Return the names of the files in a folder; empty if the server doesn't list them.

    Raises:
        RefusedError: the server is unreachable.
    """
    parent, last, query = split(folder)
    url = f"{parent}/{last}/{query}"
    try:
        paths = ask_patiently(url, lambda files, path: files.ls(path, detail=False), network)
    except MissingError:
        return []
    return list(map(name_of, paths))


def ask_patiently(url: str, ask: Callable[[Any, str], Answer], network: Network) -> Answer:
    """Call `ask` with fsspec's file system and the file's path, and retry transient errors.

    Retries use exponential back-off with jitter; a series of them is reported on one line.

    Raises:
        RefusedError: the file is unavailable, or every try failed.
        IrodoriError: the scheme's package isn't installed.
    """
    hosts = {url, urlsplit(url).netloc}
    failures = 0
    while True:
        try:
            answer = ask(*_file_system(url, network.timeout))
        except ImportError as error:
            scheme = url.partition("://")[0]
            hint = f"pip install 'irodori[{scheme}]'" if scheme in ("s3", "gs") else one_line(error)
            raise IrodoriError(
                f"{scheme}:// needs a package that is not installed: {hint}"
            ) from error
        except RefusedError:
            raise
        except Exception as error:
            problem = _translated(error, url)
            if isinstance(problem, RefusedError):
                raise problem from error
            if failures == network.retries or _failing & hosts:
                _failing.update(hosts)
                after = f"; gave up after {failures} retries" if failures else ""
                raise RefusedError(f"{problem}{after}") from error
            if not failures:
                tries = f"trying again, up to {network.retries} times"
                print(f"{problem}; {tries}", file=sys.stderr, flush=True)
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2**failures) * random.uniform(0.5, 1)
            time.sleep(max(wait, min(problem.wait, LONGEST_RETRY_AFTER)))
            failures += 1
        else:
            _failing.difference_update(hosts)
            return answer


def _file_system(url: str, timeout: float) -> tuple[Any, str]:
    options: dict[str, Any] = {"use_listings_cache": False}
    if is_web(url):
        import aiohttp  # slow to import, and needed for web servers only

        silence = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
        options |= {"client_kwargs": {"timeout": silence, "trust_env": True}, "encoded": True}
        url = quote(url, safe="%/:=&?~#+!$,;'@()*[]")  # quotes blanks and the like only
    elif url.startswith("s3://"):
        timeouts = {"connect_timeout": timeout, "read_timeout": timeout}
        # Retries are left to `ask_patiently`.
        options["config_kwargs"] = {**timeouts, "retries": {"total_max_attempts": 1}}
    elif url.startswith("gs://"):
        options["requests_timeout"] = timeout
    files, path = fsspec.url_to_fs(url, **options)  # type: ignore[no-untyped-call]
    _file_systems[id(files)] = files
    return files, path


def _translated(error: Exception, url: str) -> RefusedError | TransientError:
    """Convert an error of any client library, which have no common base class."""
    url, reason = redacted(url), one_line(error).replace(url, redacted(url))
    if isinstance(error, FileNotFoundError):
        return MissingError(f"{url} does not exist")
    if isinstance(error, TimeoutError):
        return TransientError(f"{url}: no answer in time")
    if isinstance(error, PermissionError):
        return MissingError(f"{url}: no access ({reason})")
    # The status of aiohttp, of other packages' responses, and of gcsfs.
    response = getattr(error, "response", error)
    status = getattr(error, "status", None) or getattr(response, "status_code", None)
    status = status or getattr(error, "code", None)
    if isinstance(status, int) and status >= 400:
        reason = f"{url}: HTTP {status} {getattr(error, 'message', '')}".rstrip()
        if status not in (408, 429) and status < 500:
            return (MissingError if status in (403, 410) else RefusedError)(reason)
        problem = TransientError(reason)
        problem.wait = _retry_after(getattr(response, "headers", None) or {})
        return problem
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    passing = isinstance(error, OSError) or re.search("Connect|Timeout|Payload|HTTPClient", kinds)
    return (TransientError if passing and "SSL" not in kinds else RefusedError)(f"{url}: {reason}")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that Retry-After asks for, given as a number or as a date."""
    asked = headers.get("Retry-After", "")
    try:
        if asked.isdigit():
            return float(asked)
        return parsedate_to_datetime(asked).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0
