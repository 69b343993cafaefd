"""Settings of a colorization, shared by the command, the web page and Python."""

from dataclasses import dataclass
from typing import Literal

from irodori.utils.errors import check_range

WORK_SIZE = 256
"""Default short side in pixels of the network's input, as in training."""
NATIVE: Literal["native"] = "native"
MAX_SATURATION = 2.0


@dataclass(frozen=True)
class ColorizeSettings:
    """Settings of a colorization.

    Args:
        work_size: short side in pixels at which the network sees a photo, at least 32; "native":
            the photo's own size.
        saturation: factor of the saturation, from 0 (gray) to 2.
        style_strength: weight of the style image in the global features, 0 to 1.

    Raises:
        IrodoriError: a setting is out of range.
    """

    work_size: int | Literal["native"] = WORK_SIZE
    saturation: float = 1.0
    style_strength: float = 1.0

    def __post_init__(self) -> None:
        if self.work_size != NATIVE:
            check_range("work size", self.work_size, 32, 65536)
        check_range("saturation", self.saturation, 0, MAX_SATURATION)
        check_range("style strength", self.style_strength, 0, 1)
