"""Every color space of the project, and every conversion between them and sRGB."""

from irodori.color.eight_bit import to_float, to_uint8
from irodori.color.lab import Lab, rgb_to_lab
from irodori.color.luma import YCbCr, Yuv
from irodori.color.luma_ab import LumaAb
from irodori.color.luv import Luv
from irodori.color.oklab import Oklab
from irodori.color.rgb import Rgb
from irodori.color.space import ColorSpace
from irodori.errors import IrodoriError

__all__ = [
    "ColorSpace",
    "Lab",
    "LumaAb",
    "Luv",
    "Oklab",
    "Rgb",
    "YCbCr",
    "Yuv",
    "rgb_to_lab",
    "to_float",
    "to_uint8",
]


def color_space(name: str) -> ColorSpace:  # removed with the name tables
    """Return the color space of a name in lower case, such as "lab" or "luma_ab".

    Raises:
        IrodoriError: there is none of this name.
    """
    known = {made_by.__name__.lower(): made_by for made_by in (Lab, Yuv, Rgb, YCbCr, Luv, Oklab)}
    known["luma_ab"] = LumaAb
    if name not in known:
        raise IrodoriError(f"unknown color space {name!r}; the known ones are: {', '.join(known)}")
    return known[name]()
