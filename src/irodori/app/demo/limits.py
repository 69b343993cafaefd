"""How much a visitor may send; asked before anything is decoded."""

from dataclasses import dataclass
from pathlib import Path

from irodori.imageio import probe
from irodori.imageio.reading import MAX_PIXELS
from irodori.utils.errors import IrodoriError


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    Args:
        megabytes: of a file, in millions of bytes.
        megapixels: of a photo, in millions.
        photos: at a time.

    Raises:
        IrodoriError: one is out of range.
    """

    megabytes: float = 50
    megapixels: float = 50
    photos: int = 20

    def __post_init__(self) -> None:
        for name, value, most in (
            ("--max-megabytes", self.megabytes, 10_000),
            ("--max-megapixels", self.megapixels, MAX_PIXELS / 1e6),
            ("--max-photos", self.photos, 100),
        ):
            if not 0 < value <= most:
                raise IrodoriError(f"{name} is {value:g}: give a number above 0, up to {most:g}")

    @property
    def bytes(self) -> int:
        """Of a file, at most."""
        return int(self.megabytes * 1e6)

    def refuse(self, path: Path) -> None:
        """Raise IrodoriError for a file that is too large, by its length and its header."""
        size = path.stat().st_size
        if size > self.bytes:
            raise IrodoriError(
                f"{size / 1e6:.1f} MB are more than the {self.megabytes:g} MB that this page takes"
            )
        pixels = pixels_by_header(path)
        if pixels > self.megapixels * 1e6:
            raise IrodoriError(
                f"{pixels / 1e6:.1f} million pixels; this page takes up to"
                f" {self.megapixels:g} million: scale the photo down, or use `irodori colorize`"
            )


def pixels_by_header(path: Path) -> int:
    """How many pixels a photo says it has; 0 where it isn't read, which reading it will explain."""
    try:
        header = probe(path)
    except IrodoriError:
        return 0
    return header.width * header.height
