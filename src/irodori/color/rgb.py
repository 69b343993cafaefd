"""RGB as the prediction target, as in the paper's comparison of color spaces."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.precision import to_full_precision
from irodori.color.space import ColorSpace


class Rgb(ColorSpace):
    """sRGB as three chroma channels, with BT.601 luma as the network's input.

    The three channels contain the luminance again, which a network predicts inexactly. `decode`
    restores the photo's own: it returns chroma + (luminance - luma(chroma)), which moves each color
    along the gray axis to the given luma. Chroma and luminance of the same picture stay unchanged.
    """

    predicts_luminance: ClassVar[bool] = True
    chroma_center: ClassVar[float] = 0.5
    chroma_range: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        return torch.cat([kornia.color.rgb_to_y(rgb_B3HW), rgb_B3HW], dim=1)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        luminance_B1HW, chroma_B3HW = native_BDHW.split([1, 3], dim=1)
        rgb_B3HW: Tensor = chroma_B3HW + (luminance_B1HW - kornia.color.rgb_to_y(chroma_B3HW))
        return rgb_B3HW

    def gray_chroma(self, luminance_B1HW: Tensor) -> Tensor:
        return to_full_precision(luminance_B1HW, "luminance_B1HW", 1).repeat(1, 3, 1, 1)

    def as_predicted(self, chroma_BCHW: Tensor) -> Tensor:
        return to_full_precision(chroma_BCHW, "chroma_BCHW", 3)
