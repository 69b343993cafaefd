"""Oklab, after Björn Ottosson, "A perceptual color space for image processing" (2020)."""

from typing import ClassVar

import torch
from torch import Tensor

from irodori.color.lazy import kornia
from irodori.color.space import ColorSpace

# The published forward matrices. They are inverted here, since the published inverses are rounded
# and would not restore a picture exactly.
LMS_FROM_LINEAR_RGB = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=torch.float64,
)
OKLAB_FROM_ROOTS = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=torch.float64,
)
LINEAR_RGB_FROM_LMS = LMS_FROM_LINEAR_RGB.inverse()
ROOTS_FROM_OKLAB = OKLAB_FROM_ROOTS.inverse()

# The slope of the cube root is infinite at 0. Below this value, far under the 1.5e-5 of the darkest
# 8-bit color except black, it is replaced by a line.
NEARLY_BLACK = 1e-9


class Oklab(ColorSpace):
    """Oklab of sRGB: L in [0, 1], a and b in about ±0.3."""

    # sRGB reaches a = 0.2762 and b = -0.3115.
    chroma_range: ClassVar[tuple[float, ...]] = (0.28, 0.315)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        light_B3HW = _product(LMS_FROM_LINEAR_RGB, kornia.color.rgb_to_linear_rgb(rgb_B3HW))
        return _product(OKLAB_FROM_ROOTS, _cube_root(light_B3HW))

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        light_B3HW = _product(ROOTS_FROM_OKLAB, native_BDHW) ** 3
        return kornia.color.linear_rgb_to_rgb(_product(LINEAR_RGB_FROM_LMS, light_B3HW))


def _product(matrix: Tensor, picture_B3HW: Tensor) -> Tensor:
    matrix = matrix.to(picture_B3HW, non_blocking=True)
    return torch.einsum("oi,bihw->bohw", matrix, picture_B3HW)


def _cube_root(light: Tensor) -> Tensor:
    root = light.abs().clamp(min=NEARLY_BLACK) ** (1 / 3) - NEARLY_BLACK ** (1 / 3)
    line = light.clamp(-NEARLY_BLACK, NEARLY_BLACK) * NEARLY_BLACK ** (-2 / 3)
    cube_root: Tensor = root * light.sign() + line
    return cube_root
