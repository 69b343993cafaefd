"""The CIEDE2000 color difference; 1 is about one just noticeable difference."""

import torch
from torch import Tensor

from irodori.color.precision import full_precision, to_full_precision


def ciede2000(one_B3HW: Tensor, other_B3HW: Tensor) -> Tensor:
    """Return the CIEDE2000 color difference of each pixel, with kL = kC = kH = 1.

    After G. Sharma, W. Wu, E. N. Dalal: *The CIEDE2000 color-difference formula: Implementation
    notes, supplementary test data, and mathematical observations*, 2005; comments refer to its
    equations. Not suited as a loss: the gradient isn't finite for equal colors.

    Args:
        one_B3HW: CIE L*a*b* in native units, see `rgb_to_lab`.
        other_B3HW: the other picture, in the same units.

    Returns:
        ΔE₀₀, B×H×W, at least 0 (black to white: 100); fp32, or float64 if either input is.

    Raises:
        TypeError, ValueError: an input has a wrong type or shape, or the shapes differ.
    """
    one_B3HW = to_full_precision(one_B3HW, "one_B3HW", 3)
    other_B3HW = to_full_precision(other_B3HW, "other_B3HW", 3)
    if one_B3HW.shape != other_B3HW.shape:
        raise ValueError(f"{tuple(one_B3HW.shape)} against {tuple(other_B3HW.shape)}")
    with full_precision(one_B3HW.device):
        return _difference(one_B3HW, other_B3HW)


def _difference(one_B3HW: Tensor, other_B3HW: Tensor) -> Tensor:
    lightness_1, a_1, b_1 = one_B3HW.unbind(1)
    lightness_2, a_2, b_2 = other_B3HW.unbind(1)

    # (2) to (7): scale a* near gray, then compute chroma and hue.
    stretch = 1.5 - 0.5 * _compression((a_1.hypot(b_1) + a_2.hypot(b_2)) / 2)
    chroma_1, hue_1 = _polar(a_1 * stretch, b_1)
    chroma_2, hue_2 = _polar(a_2 * stretch, b_2)

    # (8) to (11): differences, of hues along the shorter arc. The undefined hue of a gray has no
    # effect: the hue difference is 0, and terms of the mean hue are multiplied by it.
    lightness_step = lightness_2 - lightness_1
    chroma_step = chroma_2 - chroma_1
    turn = hue_2 - hue_1
    far = turn.abs() > 180
    turn = torch.where(far, turn - 360 * turn.sign(), turn)
    hue_step = 2 * (chroma_1 * chroma_2).sqrt() * (turn / 2).deg2rad().sin()

    # (12) to (14): means.
    lightness = (lightness_1 + lightness_2) / 2
    chroma = (chroma_1 + chroma_2) / 2
    total = hue_1 + hue_2
    hue = torch.where(far, total + torch.where(total < 360, 360, -360), total) / 2

    # (15) to (21): weights that depend on the position in the color space.
    hue_factor = (
        1
        - 0.17 * _cosine(hue - 30)
        + 0.24 * _cosine(2 * hue)
        + 0.32 * _cosine(3 * hue + 6)
        - 0.20 * _cosine(4 * hue - 63)
    )
    from_middle = (lightness - 50).square()
    lightness_step = lightness_step / (1 + 0.015 * from_middle / (20 + from_middle).sqrt())
    chroma_step = chroma_step / (1 + 0.045 * chroma)
    hue_step = hue_step / (1 + 0.015 * chroma * hue_factor)
    rotation = 60 * (-((hue - 275) / 25).square()).exp()
    coupling = -2 * _compression(chroma) * rotation.deg2rad().sin()

    # (22); rounding could make the square of a tiny difference negative.
    squares = lightness_step.square() + chroma_step.square() + hue_step.square()
    return (squares + coupling * chroma_step * hue_step).clamp(min=0).sqrt()


def _compression(chroma: Tensor) -> Tensor:
    """Return √(C⁷ / (C⁷ + 25⁷)), from 0 for gray to 1 for saturated colors."""
    power = chroma**7
    return (power / (power + 25.0**7)).sqrt()


def _polar(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return chroma, and hue in [0, 360] degrees."""
    return a.hypot(b), torch.atan2(b, a).rad2deg().remainder(360)


def _cosine(degrees: Tensor) -> Tensor:
    return degrees.deg2rad().cos()
