"""Color spaces and their conversions from and to sRGB."""

from irodori.color.lab import Lab, rgb_to_lab
from irodori.color.luma import YCbCr, Yuv
from irodori.color.luma_ab import LumaAb
from irodori.color.luv import Luv
from irodori.color.oklab import Oklab
from irodori.color.precision import to_float, to_uint8
from irodori.color.rgb import Rgb
from irodori.color.space import ColorSpace

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
