"""CIEDE2000 against scikit-image in float64, and the pairs that its authors published."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000
from torch import Tensor

from irodori.color import rgb_to_lab
from irodori.color.difference import ciede2000


def planes(colors: NDArray[np.float64]) -> Tensor:
    """N×3 → 1×3×1×N."""
    return torch.from_numpy(colors).T.reshape(1, 3, 1, -1)


def both(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Ours and scikit-image's differences."""
    ours = ciede2000(planes(one), planes(other)).flatten()
    return ours, torch.from_numpy(deltaE_ciede2000(one, other))


def test_any_two_colors(colors_u8: Tensor) -> None:
    lab = rgb_to_lab(colors_u8.double() / 255)[0, :, 0].T.numpy()
    other = np.random.default_rng(0).permutation(lab)
    ours, theirs = both(lab, other)
    assert (ours - theirs).abs().max() < 1e-9
    in_fp32 = ciede2000(planes(lab).float(), planes(other).float())
    assert in_fp32.dtype == torch.float32
    assert ((in_fp32.flatten() - theirs).abs() / theirs.clamp(min=0.01)).max() < 1e-3
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ciede2000(planes(lab).float(), planes(other).float()), in_fp32)


@pytest.mark.parametrize("chroma", [1e-3, 0.3, 5, 60])
def test_near_gray_and_around_the_circle_of_hues(chroma: float) -> None:
    """Hues on either side of 0°, of each other's opposite, and of 275°, where the rotation is."""
    hues = np.deg2rad([0, 0.01, 359.99, 359, 1, 89.9, 179.9, 180.2, 269, 275, 281, 345.0])
    one, other = (grid.ravel() for grid in np.meshgrid(hues, hues))
    random = np.random.default_rng(1)
    lab = [
        np.stack([random.uniform(0, 100, hue.size), size * np.cos(hue), size * np.sin(hue)], 1)
        for hue, size in ((one, chroma), (other, 1.3 * chroma))
    ]
    ours, theirs = both(*lab)
    assert (ours - theirs).abs().max() < 1e-7
    gray = lab[1] * [1, 0, 0]
    for pair in ((lab[0], gray), (gray, lab[0]), (gray, gray[::-1].copy())):
        ours, theirs = both(*pair)
        assert (ours - theirs).abs().max() < 1e-7


def test_equal_colors_and_black_to_white(colors_u8: Tensor) -> None:
    lab = rgb_to_lab(colors_u8.float() / 255)
    assert ciede2000(lab, lab).max() == 0
    black, white = planes(np.array([[0.0, 0, 0]])), planes(np.array([[100.0, 0, 0]]))
    assert ciede2000(black, white).item() == pytest.approx(100)
    assert ciede2000(black.float().expand(2, 3, 4, 5), white.expand(2, 3, 4, 5)).shape == (2, 4, 5)


def test_other_shapes_and_types_are_refused() -> None:
    lab = torch.zeros(1, 3, 2, 2)
    with pytest.raises(ValueError, match="against"):
        ciede2000(lab, torch.zeros(1, 3, 2, 3))
    with pytest.raises(ValueError, match="other_B3HW"):
        ciede2000(lab, lab[0])
    with pytest.raises(TypeError, match="uint8"):
        ciede2000(lab.to(torch.uint8), lab)
