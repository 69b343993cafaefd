import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from irodori.data import aging
from irodori.data.aging import age, blurred, falling_light, scratch, spot


def photo(height=40, width=60):
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return (0.2 + 0.6 * y * x)[None]


def random(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**24 - 1))
def test_any_picture_ages_within_the_range(height, width, seed):
    picture = torch.rand(1, height, width, generator=random(1))
    old = age(picture, seed)
    assert old.shape == picture.shape
    assert old.dtype == torch.float32
    assert old.isfinite().all()
    assert old.min() >= 0
    assert old.max() <= 1
    assert torch.equal(old, age(picture, seed))


@pytest.mark.parametrize("deviation", [0.3, 1.0, 1.6])
def test_the_blur_is_scipys(deviation):
    picture = torch.rand(1, 30, 40, generator=random())
    half = math.ceil(3 * deviation)
    expected = gaussian_filter(picture[0].double().numpy(), deviation, mode="mirror", radius=half)
    np.testing.assert_allclose(blurred(picture, deviation)[0], expected, atol=1e-5)


def test_light_falls_off_evenly_about_the_middle():
    light = falling_light(photo(), direction=0.0, slope=0.2)
    np.testing.assert_allclose(light.mean(), 1, atol=1e-6)
    np.testing.assert_allclose(light[0], 1 + 0.2 * (2 * (np.arange(60) + 0.5) / 60 - 1), atol=1e-6)
    assert torch.equal(light, light[:1].expand_as(light))


def given_numbers(*numbers):
    """A source of numbers: these, as shares of the way from low to high."""
    left = iter(numbers)
    return lambda low, high: low + (high - low) * next(left)


def test_a_scratch_is_a_line_and_a_spot_a_disc():
    # From x = 30, upright, 0.3 pixels to each side, from above the picture to below it.
    line = scratch(photo(), given_numbers(0.5, 0.5, 0.0, 0.0, 1.0))
    columns = line[0].nonzero().flatten().tolist()
    assert columns == [29, 30]
    assert torch.equal(line, line[:1].expand_as(line))
    # At (20, 30) with a radius of 2.5 pixels: its area is within the soft edge of πr².
    disc = spot(photo(), given_numbers(0.5, 0.5, 1.0))
    assert disc.sum().item() == pytest.approx(math.pi * 2.5**2, rel=0.05)
    assert disc[20, 30] == 1


NEUTRAL = {
    "SOFTNESS": (0.0, 0.0),
    "BLACK": (0.0, 0.0),
    "WHITE": (1.0, 1.0),
    "GAMMA": 0.0,
    "SLOPE": 0.0,
    "GRAIN": (0.0, 0.0),
    "DAMAGE": (0.0, 0.0),
}


@pytest.mark.parametrize("changed", [None, *NEUTRAL])
def test_every_change_changes_something_and_nothing_else_does(changed, monkeypatch):
    monkeypatch.setattr(aging, "ALWAYS", 1.1)
    for name, value in NEUTRAL.items():
        if name != changed:
            monkeypatch.setattr(aging, name, value)
    rough = photo() + 0.1 * torch.rand(photo().shape, generator=random(9))
    differences = torch.stack([age(rough, seed) - rough for seed in range(8)])
    assert (differences.abs().max() > 0.02) == (changed is not None)
