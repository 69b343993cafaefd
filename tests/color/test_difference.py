"""CIEDE2000 against scikit-image in float64, and the pairs that its authors published."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000
from torch import Tensor

from irodori.color import rgb_to_lab
from irodori.color.difference import ciede2000

# Table 1 of Sharma, Wu and Dalal (2005): L*, a*, b* of either color, and ΔE₀₀.
PUBLISHED = np.array(
    [
        [50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425],
        [50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615],
        [50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412],
        [50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000],
        [50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669],
        [50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195],
        [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045],
        [50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461],
        [50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065],
        [50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492],
        [50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977],
        [50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030],
        [50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000],
        [50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)


def planes(colors: NDArray[np.float64]) -> Tensor:
    """N×3 → 1×3×1×N."""
    return torch.from_numpy(colors).T.reshape(1, 3, 1, -1)


def both(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Ours and scikit-image's differences."""
    ours = ciede2000(planes(one), planes(other)).flatten()
    return ours, torch.from_numpy(deltaE_ciede2000(one, other))


def test_published_pairs_in_both_directions() -> None:
    one, other, expected = PUBLISHED[:, :3], PUBLISHED[:, 3:6], PUBLISHED[:, 6]
    for pair in ((one, other), (other, one)):
        ours = ciede2000(planes(pair[0]), planes(pair[1])).flatten().numpy()
        np.testing.assert_allclose(ours, expected, atol=5.1e-5)


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
