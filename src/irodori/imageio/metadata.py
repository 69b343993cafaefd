"""What a file says about its photo, beside the pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from irodori.imageio import exif, xmp
from irodori.imageio.tags import parse


@dataclass(frozen=True)
class Metadata:
    """What is carried over from the photo to the result.

    exif: an EXIF block, from TIFF's header on. xmp: an XMP packet. dpi: dots per inch, across and
    down. Each is None if the file has none.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    @classmethod
    def of(cls, info: Mapping[Any, Any]) -> "Metadata":
        """What Pillow found in a file: `info` of its image."""
        block, packet, dpi = bare_exif(info), info.get("xmp"), info.get("dpi")
        if isinstance(packet, str):
            packet = packet.encode()
        if dpi is not None:
            dpi = float(dpi[0]), float(dpi[1])
            dpi = dpi if min(dpi) > 0 else None
        return cls(block, packet or None, dpi or exif.dots_per_inch(parse(block)))

    def orientation(self) -> int:
        """How the stored picture stands, 1 to 8 (EXIF's tag 0x0112); 1 is upright.

        EXIF decides, and XMP where EXIF is silent.
        """
        return exif.orientation(parse(self.exif)) or xmp.orientation(self.xmp) or 1

    def upright(self, width: int, height: int) -> "Metadata":
        """The metadata of the upright picture of this size.

        Args:
            width: of the upright picture in pixels.
            height: the same.
        """
        dpi = self.dpi
        if dpi is not None and self.orientation() >= 5:
            dpi = dpi[1], dpi[0]
        return Metadata(
            exif.made_upright(self.exif, width, height),
            xmp.made_upright(self.xmp, width, height),
            dpi,
        )


def bare_exif(info: Mapping[Any, Any]) -> bytes | None:
    """The EXIF block of Pillow's `info`."""
    block = info.get("exif")
    return exif.bare(block) if isinstance(block, bytes) else None


def with_sidecar(metadata: Metadata, packet: bytes) -> Metadata:
    """Return the metadata with what an `.xmp` file beside the photo says in place of its own XMP."""
    return replace(metadata, xmp=packet)
