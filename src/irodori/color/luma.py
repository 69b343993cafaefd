"""ITU-R BT.601: luma, and the two colour-difference spaces on it, YUV and YCbCr.

Kr and Kb are the standard's; all other coefficients follow from them, and so does the exact
inverse. Tables of them, as in many libraries, hold three digits.

Scaled to [0, 1], the chroma of YUV and of YCbCr are the same numbers, since both are B - Y and
R - Y over their full range. The two spaces differ in their native units only: a network trains
on them alike.
"""

from typing import ClassVar

from torch import Tensor

from irodori.color.planes import Planes, join, split
from irodori.color.space import LinearlyScaled

KR = 0.299
KB = 0.114
KG = 1 - KR - KB


def luma(rgb_B3HW: Tensor) -> Tensor:
    """Return the BT.601 luma Y, B×1×H×W in [0, 1], of sRGB in [0, 1], in the tensor's own type."""
    red, green, blue = split(rgb_B3HW)
    return _luma(red, green, blue).unsqueeze(1)


def _luma(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    return KR * red + KG * green + KB * blue


class _ColorDifference(LinearlyScaled):
    """Luma Y, and the differences B - Y and R - Y, scaled to reach the ends of `chroma_range`."""

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        red, green, blue = split(rgb_B3HW)
        y = _luma(red, green, blue)
        # B - Y is greatest for pure blue, 1 - Kb, and least for its complement, Kb - 1.
        blueness = (blue - y) * (self.chroma_range[0] / (1 - KB))
        redness = (red - y) * (self.chroma_range[1] / (1 - KR))
        return y, blueness, redness

    def _to_rgb(self, native: Planes) -> Tensor:
        y, blueness, redness = native
        blue = y + blueness * ((1 - KB) / self.chroma_range[0])
        red = y + redness * ((1 - KR) / self.chroma_range[1])
        green = (y - KR * red - KB * blue) / KG
        return join((red, green, blue))


class Yuv(_ColorDifference):
    """Y, U and V of analog PAL video (BT.601 luma): U in ±0.436, V in ±0.615."""

    name: ClassVar[str] = "yuv"
    chroma_range: ClassVar[tuple[float, ...]] = (0.436, 0.615)


class YCbCr(_ColorDifference):
    """Y, Cb and Cr of JPEG files (JFIF, full-range BT.601): Cb and Cr in ±0.5, centred on 0."""

    name: ClassVar[str] = "ycbcr"
    chroma_range: ClassVar[tuple[float, ...]] = (0.5, 0.5)
