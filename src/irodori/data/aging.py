"""Luminance made that of old prints: soft, faded, unevenly lit, grainy, scratched."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from irodori.color.planes import full_precision

Draw = Callable[[float, float], float]
"""Draws a number between two."""

SEEDS = 1 << 24
"""Different ones that a draw of fp32 in [0,1) holds."""
ALWAYS = 0.75
"""Probability of each of the changes, in a picture that is aged at all."""
SOFTNESS = (0.3, 1.6)
"""Deviation of the blur in pixels."""
BLACK = (0.0, 0.3)
WHITE = (0.7, 1.0)
"""Where black and white have faded to."""
GAMMA = 0.7
"""The curve between them has an exponent of 2^±GAMMA."""
SLOPE = 0.25
"""Most by which light falls off from one side to the other, as a share."""
GRAIN = (0.01, 0.09)
"""Deviation of the grain's luminance."""
CLUMP = 0.5
"""Deviation in pixels of the blur that makes clumps of grain."""
SCRATCHES = 4
SPOTS = 12
"""At most so many."""
SPOT_RADIUS = (0.5, 2.5)
"""In pixels."""
DAMAGE = (0.15, 0.6)
"""Change of luminance in scratches and spots, up or down."""


@dataclass(frozen=True)
class Aging:
    """Ages a share of luminance pictures at random, each by a seed of its own.

    Made for pictures of about 256 pixels, in which the grain of a scanned print is a pixel or two.

    Args:
        share: of the pictures that are aged, in [0,1]; 0 leaves all as they are.

    Raises:
        ValueError: the share is out of range.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"data.age={self.share} is not in 0 … 1")

    def __call__(self, luminance_B1HW: Tensor, draws_B: Tensor) -> Tensor:
        """B×1×H×W fp32 in [0,1] → the same, some aged; draws in [0,1), which are the seeds."""
        if not self.share:
            return luminance_B1HW
        aged = []
        for luminance_1HW, draw in zip(luminance_B1HW, draws_B.tolist(), strict=True):
            random = torch.Generator().manual_seed(int(draw * SEEDS))
            chosen = float(torch.rand((), generator=random)) < self.share
            aged.append(age(luminance_1HW, random) if chosen else luminance_1HW)
        return torch.stack(aged)


def age(luminance_1HW: Tensor, random: torch.Generator) -> Tensor:
    """A picture's luminance as an old print might have it.

    Args:
        luminance_1HW: fp32 in [0,1].
        random: on the CPU; the same state gives the same print.

    Returns:
        1×H×W fp32 in [0,1].
    """

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=random))

    def happens() -> bool:
        return between(0, 1) < ALWAYS

    with full_precision(luminance_1HW.device):
        if happens():
            luminance_1HW = blurred(luminance_1HW, between(*SOFTNESS))
        if happens():
            black, white, gamma = between(*BLACK), between(*WHITE), 2 ** between(-GAMMA, GAMMA)
            luminance_1HW = black + (white - black) * luminance_1HW.clamp(min=0) ** gamma
        if happens():
            luminance_1HW = luminance_1HW * falling_light(
                luminance_1HW, between(0, 2 * math.pi), between(0, SLOPE)
            )
        if happens():
            # Drawn on the CPU, so that the print is the same on any device.
            noise_1HW = torch.randn(luminance_1HW.shape, generator=random)
            noise_1HW = blurred(noise_1HW.to(luminance_1HW.device), CLUMP)
            # A picture of a single pixel has no deviation.
            deviation = noise_1HW.std(correction=0).clamp(min=0.1)
            luminance_1HW = luminance_1HW + noise_1HW / deviation * between(*GRAIN)
        if happens():
            for _ in range(int(between(1, SCRATCHES + 1))):
                luminance_1HW = damaged(luminance_1HW, scratch(luminance_1HW, between), between)
        if happens():
            for _ in range(int(between(1, SPOTS + 1))):
                luminance_1HW = damaged(luminance_1HW, spot(luminance_1HW, between), between)
        return luminance_1HW.clamp(0, 1)


def blurred(picture_1HW: Tensor, deviation: float) -> Tensor:
    """Gaussian blur, its deviation in pixels; borders are reflected."""
    # Reflection needs a picture that is larger than the kernel's half.
    half = min(math.ceil(3 * deviation), *(side - 1 for side in picture_1HW.shape[-2:]))
    if half < 1:
        return picture_1HW
    from kornia.filters import gaussian_blur2d  # a second, which only aged photographs need

    kernel = 2 * half + 1
    blurred_B1HW: Tensor = gaussian_blur2d(
        picture_1HW[None], (kernel, kernel), (deviation, deviation)
    )
    return blurred_B1HW[0]


def falling_light(like_1HW: Tensor, direction: float, slope: float) -> Tensor:
    """H×W: 1 in the middle, falling to 1 − slope on one side and rising to 1 + slope opposite."""
    y_H1, x_1W = places(like_1HW)
    height, width = like_1HW.shape[-2:]
    across_HW = math.cos(direction) * (2 * x_1W / width - 1)
    along_HW = math.sin(direction) * (2 * y_H1 / height - 1)
    return 1 + slope * (across_HW + along_HW)


def scratch(like_1HW: Tensor, between: Draw) -> Tensor:
    """H×W in [0,1]: how much of each pixel lies in a straight, nearly vertical scratch."""
    y_H1, x_1W = places(like_1HW)
    height, width = like_1HW.shape[-2:]
    start, lean = between(0, width), between(-0.15, 0.15)
    distance_HW = (x_1W - start - lean * y_H1).abs()
    half = between(0.3, 0.9)
    top, bottom = sorted((between(-0.5, 1.2) * height, between(-0.2, 1.5) * height))
    inside_H1 = ((y_H1 >= top) & (y_H1 <= bottom)).float()
    return (half + 0.5 - distance_HW).clamp(0, 1) * inside_H1


def spot(like_1HW: Tensor, between: Draw) -> Tensor:
    """H×W in [0,1]: how much of each pixel lies in a round spot of dust."""
    y_H1, x_1W = places(like_1HW)
    height, width = like_1HW.shape[-2:]
    y, x, radius = between(0, height), between(0, width), between(*SPOT_RADIUS)
    distance_HW = ((x_1W - x).square() + (y_H1 - y).square()).sqrt()
    return (radius + 0.5 - distance_HW).clamp(0, 1)


def damaged(luminance_1HW: Tensor, where_HW: Tensor, between: Draw) -> Tensor:
    """Luminance moved up or down where the damage is."""
    strength = between(*DAMAGE) * (1 if between(0, 1) < 0.5 else -1)
    return luminance_1HW + strength * where_HW


def places(like_1HW: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels' centres, H×1 and 1×W."""
    height, width = like_1HW.shape[-2:]
    y_H = torch.arange(height, device=like_1HW.device) + 0.5
    x_W = torch.arange(width, device=like_1HW.device) + 0.5
    return y_H[:, None], x_W[None]
