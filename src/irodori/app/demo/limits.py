"""Limits of what a visitor may send, checked before anything is decoded."""

from dataclasses import dataclass
from pathlib import Path

from irodori.imageio import probe
from irodori.inference.settings import check_range
from irodori.utils.errors import IrodoriError

DECODED = 12
"""Upper bound of the decoded bytes per pixel, above 4×16 bits and progressive JPEGs."""


@dataclass(frozen=True)
class Limits:
    """Limits of a visitor's photos and requests.

    Args:
        megabytes: largest file of a photo, in millions of bytes.
        megapixels: largest photo, in millions of pixels.
        photos: largest number of photos in a request.
        seconds: longest time that a photo may take.
        gigabytes: largest size of all visitors' files together.
        waiting: longest queue of visitors; further ones are refused.
        at_once: number of visitors whose photos are colorized at the same time.

    Raises:
        IrodoriError: a limit is out of range.
    """

    megabytes: float = 50
    megapixels: float = 50
    photos: int = 20
    seconds: float = 120
    gigabytes: float = 8
    waiting: int = 100
    at_once: int = 1

    def __post_init__(self) -> None:
        check_range("--max-megabytes", self.megabytes, 0.001, 10_000)
        check_range("--max-megapixels", self.megapixels, 0.001, 300)
        check_range("--max-photos", self.photos, 1, 100)
        check_range("--max-seconds", self.seconds, 1, 86_400)
        check_range("--max-gigabytes", self.gigabytes, 0.001, 1_000_000)
        check_range("--waiting", self.waiting, 1, 100_000)
        check_range("--at-once", self.at_once, 1, 1000)

    @property
    def bytes(self) -> int:
        """The largest size of a file in bytes."""
        return int(self.megabytes * 1e6)

    def refuse(self, path: Path) -> None:
        """Raise IrodoriError if a file is too large, according to its length and header."""
        size = path.stat().st_size
        if size > self.bytes:
            raise IrodoriError(
                f"{size / 1e6:.1f} MB are more than the {self.megabytes:g} MB that this page takes"
            )
        header = probe(path)
        megapixels, max_decoded = header.width * header.height / 1e6, self.megapixels * DECODED
        if megapixels > self.megapixels or header.decoded_bytes > max_decoded * 1e6:
            raise IrodoriError(
                f"{megapixels:.1f} million pixels, {header.decoded_bytes / 1e6:.0f} MB decoded;"
                f" this page takes up to {self.megapixels:g} million,"
                f" {max_decoded:.0f} MB: scale the photo down, or use"
                " `irodori colorize`"
            )
