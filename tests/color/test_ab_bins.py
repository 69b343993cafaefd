import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from irodori.color.ab_bins import BINS, bins_of, centers, in_gamut


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_the_bin_of_every_8_bit_color_is_in_gamut_and_its_center_near(red, green, blue):
    ab = rgb2lab(np.array([[[red, green, blue]]]) / 255)[0, 0, 1:]
    number = bins_of(torch.tensor(ab).reshape(2, 1, 1)).item()
    place = in_gamut().tolist().index(number)
    assert np.abs(centers()[place].numpy() - ab).max() <= 5 + 1e-3


def test_bins_in_gamut_are_those_of_a_grid_of_all_colors():
    # scikit-image, a third of the levels: inner colors, too.
    level = np.linspace(0, 1, 86)
    grid = np.stack(np.meshgrid(level, level, level), -1)
    ab = rgb2lab(grid.reshape(-1, 1, 3))[:, 0, 1:]
    rows, columns = (np.floor((ab + 110) / 10 + 0.5).astype(int)).T
    assert set(in_gamut().tolist()) == set((rows * BINS + columns).tolist())
    assert len(in_gamut()) == 261
