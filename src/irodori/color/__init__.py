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
    spaces: dict[str, type[ColorSpace]] = {
        "lab": Lab,
        "yuv": Yuv,
        "rgb": Rgb,
        "ycbcr": YCbCr,
        "luv": Luv,
        "oklab": Oklab,
        "luma_ab": LumaAb,
    }
    if name not in spaces:
        raise IrodoriError(f"unknown color space {name!r}; the known ones are: {', '.join(spaces)}")
    return spaces[name]()
