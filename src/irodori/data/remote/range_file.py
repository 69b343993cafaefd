"""A file behind a URL as a seekable file, for reading headers here and there."""

import io
from typing import BinaryIO, cast

from irodori.data.remote.retry import Network, retrying
from irodori.data.remote.source import Source, Stat

READ_AHEAD = 1 << 18
"""Bytes that are asked for at once: enough for the headers of several small images."""


class _Ranges(io.RawIOBase):
    def __init__(self, source: Source, stat: Stat, network: Network) -> None:
        self.source, self.stat, self.network = source, stat, network
        self.place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + (0, self.place, self.stat.num_bytes)[whence]
        return self.place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self.stat.num_bytes - self.place))
        if wanted:
            buffer[:wanted] = retrying(
                self.source.url,
                lambda: self.source.read(self.place, wanted, self.stat),
                self.network,
            )
        self.place += wanted
        return wanted


def range_file(source: Source, stat: Stat, network: Network) -> BinaryIO:
    """The file, read in ranges of READ_AHEAD bytes; reading raises RefusedError."""
    return cast(BinaryIO, io.BufferedReader(_Ranges(source, stat, network), READ_AHEAD))
