"""Files of web servers.

Through `requests` instead of fsspec's own http: that one takes a whole body for a range where a
server ignores ranges, and can't say under which ETag it goes on.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from irodori.data.remote.retry import RefusedError, TransientError
from irodori.data.remote.source import Body, Stat
from irodori.errors import one_line

CHUNK = 1 << 16
"""Bytes that are read at once; so much at most is lost when a connection breaks."""

_local = threading.local()


def _session() -> requests.Session:
    """This thread's connections; a forked process must not go on with its parent's."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.session, _local.pid = requests.Session(), os.getpid()
    session: requests.Session = _local.session
    return session


@dataclass(frozen=True)
class HttpSource:
    """A file behind http(s)."""

    url: str
    timeout: float

    def stat(self) -> Stat:
        """Asked for by its first byte: addresses that are signed for GET refuse HEAD."""
        with self._get({"Range": "bytes=0-0"}) as response:
            if response.status_code == 416:  # an empty file has no first byte
                return Stat(0, _tag(response), True)
            return self._stat(response)

    def read(self, start: int, num_bytes: int, stat: Stat) -> bytes:
        """One range request."""
        if num_bytes == 0:
            return b""
        headers = {"Range": f"bytes={start}-{start + num_bytes - 1}"}
        with self._get(headers) as response:
            if response.status_code == 200:
                raise RefusedError(
                    f"{self.url}: the server has no range requests, which reading without a cache"
                    " needs: name a folder as data.cache"
                )
            now = self._stat(response)
            changed = stat.tag and now.tag != stat.tag
            if response.status_code == 416 or now.num_bytes != stat.num_bytes or changed:
                raise RefusedError(f"{self.url} has changed since its index was made")
            if _range(response)[:2] != (start, start + num_bytes - 1):
                raise RefusedError(
                    f"{self.url}: the server sent another range than it was asked for"
                )
            content = b"".join(self._chunks(response))
        if len(content) != num_bytes:
            raise TransientError(f"{self.url} broke off after {len(content)} of {num_bytes} bytes")
        return content

    def body(self, start: int, tag: str) -> Body:
        """From `start` on; `If-Range` makes the server send all of a file that has changed."""
        if start and tag and not tag.startswith("W/"):  # weak tags don't vouch for bytes
            response = self._open({"Range": f"bytes={start}-", "If-Range": tag})
            if response.status_code == 206:
                stat = self._stat(response)
                if stat.tag == tag and _range(response)[0] == start:
                    return Body(stat, start, self._chunks(response))
            if response.status_code == 200:
                return Body(self._stat(response), 0, self._chunks(response))
            response.close()
        response = self._open({})
        return Body(self._stat(response), 0, self._chunks(response))

    @contextmanager
    def _get(self, headers: dict[str, str]) -> Iterator[requests.Response]:
        response = self._open(headers)
        # What is left of a body is not read, so its connection can't be used again.
        with response:
            yield response

    def _open(self, headers: dict[str, str]) -> requests.Response:
        """An answer of status 200, 206 or 416, its body yet to be read."""
        headers = {"Accept-Encoding": "identity", **headers}
        try:
            response = _session().get(self.url, headers=headers, timeout=self.timeout, stream=True)
        except requests.exceptions.SSLError as error:
            raise RefusedError(f"{self.url}: {_reason(error)}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TransientError(f"{self.url}: {_reason(error)}") from error
        except (requests.RequestException, ValueError) as error:
            raise RefusedError(f"{self.url}: {one_line(error)}") from error
        status = response.status_code
        if status in (200, 206, 416):
            return response
        response.close()
        said = f"{self.url}: HTTP {status} {response.reason}".rstrip()
        if status in (408, 429) or status >= 500:
            after = response.headers.get("Retry-After", "")
            raise TransientError(said, wait=float(after) if after.isdigit() else 0.0)
        raise RefusedError(said, missing=status in (403, 404, 410))

    def _stat(self, response: requests.Response) -> Stat:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedError(f"{self.url}: the server sends it compressed, though asked not to")
        if response.status_code == 206:
            return Stat(_range(response)[2], _tag(response), True)
        length = response.headers.get("Content-Length", "")
        if not length.isdigit():
            raise RefusedError(f"{self.url}: the server doesn't say its length (Content-Length)")
        return Stat(int(length), _tag(response), False)

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        try:
            with response:
                yield from response.iter_content(CHUNK)
        except requests.RequestException as error:
            raise TransientError(f"{self.url}: {_reason(error)}") from error


def _tag(response: requests.Response) -> str:
    """The ETag; a weak one says less than the time of the last change."""
    tag = response.headers.get("ETag", "")
    modified = response.headers.get("Last-Modified", "")
    return modified if modified and (not tag or tag.startswith("W/")) else tag


def _range(response: requests.Response) -> tuple[int, int, int]:
    """First and last byte of an answer and the file's length; −1 for what it doesn't say."""
    said = response.headers.get("Content-Range", "")
    if match := re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", said):
        return int(match[1]), int(match[2]), int(match[3])
    return -1, -1, -1


def _reason(error: Exception) -> str:
    """What went wrong, without the chain of wrappers that names it."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time"
    inner: BaseException = error
    while isinstance(inner, Exception) and (inner.__cause__ or inner.__context__):
        inner = inner.__cause__ or inner.__context__ or inner
    return one_line(inner) if isinstance(inner, Exception) else one_line(error)
