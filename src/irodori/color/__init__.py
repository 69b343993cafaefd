"""Every colour space of the project, and every conversion between them and sRGB."""

from irodori.color.eight_bit import to_float, to_uint8
from irodori.color.lab import Lab, rgb_to_lab
from irodori.color.luma import YCbCr, Yuv
from irodori.color.luma_ab import LumaAb
from irodori.color.luv import Luv
from irodori.color.oklab import Oklab
from irodori.color.rgb import Rgb
from irodori.color.space import ColorSpace
from irodori.errors import IrodoriError

__all__ = ["COLOR_SPACES", "ColorSpace", "Lab", "color_space", "rgb_to_lab", "to_float", "to_uint8"]

COLOR_SPACES: dict[str, type[ColorSpace]] = {
    space.name: space for space in (Lab, Yuv, Rgb, YCbCr, Luv, Oklab, LumaAb)
}


def color_space(name: str) -> ColorSpace:
    """Return the color space called `name`: a key of `COLOR_SPACES`.

    Raises:
        IrodoriError: if there is none of this name.
    """
    if name not in COLOR_SPACES:
        known = ", ".join(COLOR_SPACES)
        raise IrodoriError(f"unknown color space {name!r}; the known ones are: {known}")
    return COLOR_SPACES[name]()
