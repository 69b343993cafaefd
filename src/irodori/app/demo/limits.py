"""Limits of what a visitor may send, checked before anything is decoded."""

from dataclasses import dataclass
from pathlib import Path

from irodori.imageio import probe
from irodori.inference.settings import check_range
from irodori.utils.errors import IrodoriError

DECODED = 12
"""Bytes that a pixel takes at most; four channels of 16 bits or a progressive JPEG take less."""


@dataclass(frozen=True)
class Limits:
    """Limits of a visitor's photos and requests.

    Args:
        megabytes: of a photo's file, in millions of bytes.
        megapixels: of a photo, in millions.
        photos: at a time.
        seconds: that a photo may take.
        gigabytes: of all visitors' files together.
        waiting: visitors in the queue; more are sent away.
        at_once: visitors whose photos are colorized at the same time.

    Raises:
        IrodoriError: one is out of range.
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
        """Largest size of a file in bytes."""
        return int(self.megabytes * 1e6)

    def refuse(self, path: Path) -> None:
        """Raise IrodoriError for a file that is too large, by its length and its header."""
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
