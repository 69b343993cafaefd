"""Simulation of old prints' luminance: soft, faded, unevenly lit, grainy, scratched."""

import math
import random
from collections.abc import Callable

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from irodori.color.precision import full_precision

Uniform = Callable[[float, float], float]
"""Draws a uniform number between two bounds."""

ALWAYS = 0.75  # probability of each change
SOFTNESS = (0.3, 1.6)  # standard deviation of the blur in pixels
BLACK, WHITE = (0.0, 0.3), (0.7, 1.0)  # luminance that black and white fade to
GAMMA = 0.7  # exponent of the tone curve between them: 2^−GAMMA to 2^GAMMA
SLOPE = 0.25  # largest relative falloff of light toward a side
GRAIN = (0.01, 0.09)  # standard deviation of the grain, in luminance
CLUMP = 0.5  # standard deviation in pixels of the grain's blur
SCRATCHES, SPOTS = 4, 12  # largest numbers per picture
SPOT_RADIUS = (0.5, 2.5)  # in pixels
DAMAGE = (0.15, 0.6)  # change of luminance in scratches and spots, up or down


def age(luminance_1HW: Tensor, seed: int) -> Tensor:
    """Return luminance as it might appear on an old print.

    Made for pictures of about 256 pixels, in which the grain of a scanned print takes one or two
    pixels.

    Args:
        luminance_1HW: fp32 in [0, 1].
        seed: determines the print, on any device.

    Returns:
        1×H×W fp32 in [0, 1].
    """
    uniform = random.Random(seed).uniform

    def happens() -> bool:
        return uniform(0, 1) < ALWAYS

    with full_precision(luminance_1HW.device):
        if happens():
            luminance_1HW = blurred(luminance_1HW, uniform(*SOFTNESS))
        if happens():
            black, white, gamma = uniform(*BLACK), uniform(*WHITE), 2 ** uniform(-GAMMA, GAMMA)
            luminance_1HW = black + (white - black) * luminance_1HW.clamp(min=0) ** gamma
        if happens():
            luminance_1HW = luminance_1HW * falling_light(
                luminance_1HW, uniform(0, 2 * math.pi), uniform(0, SLOPE)
            )
        if happens():
            # Drawn on the CPU, so that the print is the same on any device.
            generator = torch.Generator().manual_seed(seed)
            noise_1HW = torch.randn(luminance_1HW.shape, generator=generator)
            noise_1HW = noise_1HW.to(luminance_1HW.device, non_blocking=True)
            noise_1HW = blurred(noise_1HW, CLUMP)
            # The standard deviation of a single pixel is 0.
            std = noise_1HW.std(correction=0).clamp(min=0.1)
            luminance_1HW = luminance_1HW + noise_1HW / std * uniform(*GRAIN)
        if happens():
            for _ in range(int(uniform(1, SCRATCHES + 1))):
                luminance_1HW = damaged(luminance_1HW, scratch(luminance_1HW, uniform), uniform)
        if happens():
            for _ in range(int(uniform(1, SPOTS + 1))):
                luminance_1HW = damaged(luminance_1HW, spot(luminance_1HW, uniform), uniform)
        return luminance_1HW.clamp(0, 1)


def blurred(picture_1HW: Tensor, std: float) -> Tensor:
    """Apply a Gaussian blur, with `std` in pixels and reflected borders."""
    # Reflection requires a picture larger than half the kernel.
    half = min(math.ceil(3 * std), *(side - 1 for side in picture_1HW.shape[-2:]))
    if half < 1:
        return picture_1HW
    kernel = 2 * half + 1
    return gaussian_blur2d(picture_1HW[None], (kernel, kernel), (std, std))[0]


def falling_light(picture_1HW: Tensor, direction: float, slope: float) -> Tensor:
    """Return a gradient, H×W: 1 in the middle, 1 − slope and 1 + slope on opposite sides."""
    y_H1, x_1W = pixel_centers(picture_1HW)
    height, width = picture_1HW.shape[-2:]
    across_HW = math.cos(direction) * (2 * x_1W / width - 1)
    along_HW = math.sin(direction) * (2 * y_H1 / height - 1)
    return 1 + slope * (across_HW + along_HW)


def scratch(picture_1HW: Tensor, uniform: Uniform) -> Tensor:
    """Return the coverage of a straight, nearly vertical scratch, H×W in [0, 1]."""
    y_H1, x_1W = pixel_centers(picture_1HW)
    height, width = picture_1HW.shape[-2:]
    start, lean = uniform(0, width), uniform(-0.15, 0.15)
    distance_HW = (x_1W - start - lean * y_H1).abs()
    half = uniform(0.3, 0.9)
    top, bottom = sorted((uniform(-0.5, 1.2) * height, uniform(-0.2, 1.5) * height))
    inside_H1 = ((y_H1 >= top) & (y_H1 <= bottom)).float()
    return (half + 0.5 - distance_HW).clamp(0, 1) * inside_H1


def spot(picture_1HW: Tensor, uniform: Uniform) -> Tensor:
    """Return the coverage of a round spot of dust, H×W in [0, 1]."""
    y_H1, x_1W = pixel_centers(picture_1HW)
    height, width = picture_1HW.shape[-2:]
    y, x, radius = uniform(0, height), uniform(0, width), uniform(*SPOT_RADIUS)
    distance_HW = ((x_1W - x).square() + (y_H1 - y).square()).sqrt()
    return (radius + 0.5 - distance_HW).clamp(0, 1)


def damaged(luminance_1HW: Tensor, damage_HW: Tensor, uniform: Uniform) -> Tensor:
    """Lighten or darken the luminance where the picture is damaged."""
    strength = uniform(*DAMAGE) * (1 if uniform(0, 1) < 0.5 else -1)
    return luminance_1HW + strength * damage_HW


def pixel_centers(picture_1HW: Tensor) -> tuple[Tensor, Tensor]:
    """Return the y and x coordinates of pixel centers, H×1 and 1×W."""
    height, width = picture_1HW.shape[-2:]
    y_H = torch.arange(height, device=picture_1HW.device) + 0.5
    x_W = torch.arange(width, device=picture_1HW.device) + 0.5
    return y_H[:, None], x_W[None]
