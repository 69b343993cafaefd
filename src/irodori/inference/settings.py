"""Settings of a colorization, the same for the command, the web page and Python."""

from dataclasses import dataclass
from typing import Literal

from irodori.utils.errors import check_range

WORK_SIZE = 256
"""Short side in pixels at which the network sees photos: what it is trained with."""
NATIVE: Literal["native"] = "native"
MAX_SATURATION = 2.0


@dataclass(frozen=True)
class ColorizeSettings:
    """Settings of how the network colorizes photos.

    Args:
        work_size: the short side in pixels at which the network sees a photo, from 32 on;
            "native": the photo's own.
        saturation: 1 leaves the colors as they are, 0 makes them gray, 2 doubles them.
        style_strength: the share of the style image in the global features, 0 to 1.

    Raises:
        IrodoriError: one is out of range.
    """

    work_size: int | Literal["native"] = WORK_SIZE
    saturation: float = 1.0
    style_strength: float = 1.0

    def __post_init__(self) -> None:
        if self.work_size != NATIVE:
            check_range("work size", self.work_size, 32, 65536)
        check_range("saturation", self.saturation, 0, MAX_SATURATION)
        check_range("style strength", self.style_strength, 0, 1)
