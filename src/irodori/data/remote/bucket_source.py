"""Files in buckets (s3, gs), through fsspec."""

from collections.abc import Iterator
from dataclasses import dataclass

from irodori.data.remote.filesystems import ask
from irodori.data.remote.retry import RefusedError, TransientError
from irodori.data.remote.source import Body, Stat

CHUNK = 8 << 20
"""Bytes that are asked for at once in a download; so much at most is lost when one breaks."""


@dataclass(frozen=True)
class BucketSource:
    """An object in a bucket."""

    url: str
    timeout: float

    def stat(self) -> Stat:
        """One request."""
        info = ask(self.url, self.timeout, lambda files: files.info(self.url))
        if info.get("type") != "file":
            raise RefusedError(f"{self.url} does not exist", missing=True)
        # s3 calls it ETag, gs etag.
        tag = info.get("ETag") or info.get("etag") or info.get("LastModified") or ""
        return Stat(int(info["size"]), str(tag), True)

    def read(self, start: int, num_bytes: int, stat: Stat) -> bytes:
        """One range request."""
        if num_bytes == 0:
            return b""
        content: bytes = ask(
            self.url,
            self.timeout,
            lambda files: files.cat_file(self.url, start=start, end=start + num_bytes),
        )
        if len(content) != num_bytes:
            raise RefusedError(
                f"{self.url} has changed since its index was made:"
                f" {len(content)} of {num_bytes} bytes from byte {start}"
            )
        return content

    def body(self, start: int, tag: str) -> Body:
        """In ranges of `CHUNK` bytes; at the end the tag must still be that of the beginning."""
        stat = self.stat()
        if not tag or stat.tag != tag:
            start = 0
        return Body(stat, start, self._chunks(start, stat))

    def _chunks(self, start: int, stat: Stat) -> Iterator[bytes]:
        for place in range(start, stat.num_bytes, CHUNK):
            yield self.read(place, min(CHUNK, stat.num_bytes - place), stat)
        if self.stat() != stat:
            raise TransientError(f"{self.url} changed while it was downloaded")
