"""Oklab: Björn Ottosson, "A perceptual color space for image processing" (2020)."""

from typing import ClassVar

from torch import Tensor

from irodori.color.planes import Matrix, Planes, inverse, join, mix, power_, split
from irodori.color.space import OfLight
from irodori.color.srgb import linear_from_srgb

# The forward matrices as published. His inverse ones are rounded: inverting here lets a picture
# come back exactly.
LMS_FROM_LINEAR_RGB: Matrix = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB_FROM_ROOTS: Matrix = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
LINEAR_RGB_FROM_LMS = inverse(LMS_FROM_LINEAR_RGB)
ROOTS_FROM_OKLAB = inverse(OKLAB_FROM_ROOTS)

# The cube root's slope is infinite in black. Below this light, far under the 1.5e-5 of the darkest
# 8-bit colour that is not black, a line takes its place.
NEARLY_BLACK = 1e-9


class Oklab(OfLight):
    """Oklab of sRGB: L in [0, 1], a and b in about ±0.3."""

    name: ClassVar[str] = "oklab"
    # sRGB reaches a = 0.2762 and b = -0.3115.
    chroma_range: ClassVar[tuple[float, ...]] = (0.28, 0.315)

    def _from_rgb(self, rgb_B3HW: Tensor) -> Planes:
        lms = mix(LMS_FROM_LINEAR_RGB, split(linear_from_srgb(rgb_B3HW)))
        first, second, third = map(_cube_root, lms)
        return mix(OKLAB_FROM_ROOTS, (first, second, third))

    def _to_linear(self, native: Planes) -> Tensor:
        first, second, third = (root**3 for root in mix(ROOTS_FROM_OKLAB, native))
        return join(mix(LINEAR_RGB_FROM_LMS, (first, second, third)))


def _cube_root(light: Tensor) -> Tensor:
    size = light.abs()
    root = power_(size.clamp(min=NEARLY_BLACK), 1 / 3)
    curved: Tensor = (root - NEARLY_BLACK ** (1 / 3)) * light.sign()
    straight = light.clamp(-NEARLY_BLACK, NEARLY_BLACK)
    return curved.add_(straight, alpha=NEARLY_BLACK ** (-2 / 3))
