import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from irodori.color import Lab, Luv, Oklab, Rgb, YCbCr, Yuv
from irodori.inference.gamut import STEPS, TOLERANCE, into_gamut

SPACES = [Lab, Luv, Oklab, Yuv, YCbCr, Rgb]


def random_planes(made_by, seed, spread):
    generator = torch.Generator().manual_seed(seed)
    space = made_by()
    luminance = torch.rand(2, 1, 7, 9, generator=generator)
    away = torch.rand(2, space.chroma_channels, 7, 9, generator=generator) - 0.5
    return space, luminance, (0.5 + spread * away)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SPACES), st.integers(0, 100), st.floats(0, 1.5))
def test_luminance_stays_and_all_is_in_gamut(made_by, seed, spread):
    space, luminance, chroma = random_planes(made_by, seed, spread)
    rgb = into_gamut(space, luminance, chroma)
    assert rgb.shape == (2, 3, 7, 9)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    # As levels of gray: near black some spaces' luminance is many times as steep.
    found, expected = (
        space.decode(plane, space.gray_chroma(plane)) for plane in (space.encode(rgb)[0], luminance)
    )
    assert (found - expected).abs().max() < 2 * TOLERANCE


@pytest.mark.parametrize("made_by", SPACES)
def test_colors_in_gamut_stay_as_they_are(made_by):
    space, *_ = random_planes(made_by, 0, 0)
    rgb = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(4))
    luminance, chroma = space.encode(rgb)
    torch.testing.assert_close(into_gamut(space, luminance, chroma), rgb, atol=2e-5, rtol=0)


def test_hue_stays_and_saturation_is_as_large_as_can_be():
    """Against a plain search over a fine grid in float64."""
    lightness, hue = 60.0, np.radians([10, 100, 200, 300])
    away = 110 * np.stack([np.cos(hue), np.sin(hue)])
    space = Lab()
    chroma = torch.tensor(away / (2 * np.array(space.chroma_range)[:, None]) + 0.5)
    made = into_gamut(
        space,
        torch.full((1, 1, 1, 4), lightness / 100, dtype=torch.float64),
        chroma[None, :, None],
    )
    found = rgb2lab(made[0].permute(1, 2, 0).numpy())[0, :, 1:].T
    for number in range(4):
        shares = np.linspace(0, 1, 20001)
        points = np.stack([np.full_like(shares, lightness), *(away[:, number, None] * shares)], -1)
        # Unclipped: whether the way back is where it came from.
        inside = np.abs(rgb2lab(lab2rgb(points[None]))[0] - points).max(axis=1) < 0.02
        most = shares[np.nonzero(~inside)[0][0] - 1]
        np.testing.assert_allclose(found[:, number], away[:, number] * most, atol=1.0)
    assert STEPS >= 10


def test_what_lies_outside_does_not_change_its_neighbors():
    space, luminance, chroma = random_planes(Lab, 3, 0.1)
    before = into_gamut(space, luminance, chroma)
    chroma[0, :, 2, 3] = 1.4
    after = into_gamut(space, luminance, chroma)
    changed = ((before - after).abs() > 1e-5).any(1).nonzero().tolist()
    assert changed == [[0, 2, 3]]
