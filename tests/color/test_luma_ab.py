"""The search for L* in `luma_ab`, against scipy's, and what it keeps outside of sRGB."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from irodori.color import LumaAb, rgb_to_lab
from irodori.color.luma_ab import DARKEST, LIGHTEST

Array = NDArray[np.float64]
SPACE = LumaAb()
TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)


def srgb(lightness: float, a: float, b: float) -> Array:
    """CIE's formulas; negative light goes on along the line at 0."""
    y = (lightness + 16) / 116
    roots = np.array([y + a / 500, y, y - b / 200])
    light = np.where(roots > 0.2068966, roots**3, (roots - 16 / 116) / 7.787)
    linear = np.linalg.solve(TO_XYZ, light * np.array([0.95047, 1, 1.08883]))
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, curved, 12.92 * linear)


def shown_luma(lightness: float, a: float, b: float) -> float:
    return float(np.maximum(srgb(lightness, a, b), 0) @ [0.299, 0.587, 0.114])


def searched(y: float, a: float, b: float) -> float:
    """The L* with which a* and b* are shown with the luma y."""
    found = brentq(lambda x: shown_luma(x, a, b) - y, DARKEST, LIGHTEST, xtol=1e-13)
    return float(found)


def grid(steps: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Every luma with every chroma that a sigmoid can give: 1×1×1×N and 1×2×1×N."""
    pairs = torch.cartesian_prod(*[torch.linspace(0, 1, steps, dtype=dtype)] * 3)
    return pairs[:, :1].T[None, :, None], pairs[:, 1:].T[None, :, None]


def test_every_chroma_has_the_luma_somewhere() -> None:
    _, chroma = grid(21)
    for a, b in (chroma[0, :, 0, ::7].T * 220 - 110).tolist():
        assert shown_luma(DARKEST, a, b) == 0
        assert shown_luma(LIGHTEST, a, b) > 1


def test_decode_agrees_with_another_search() -> None:
    random = np.random.default_rng(0)
    lumas, a, b = random.uniform([0.01, -100, -100], [1, 100, 100], (60, 3)).T
    expected = [srgb(searched(*color), *color[1:]) for color in zip(lumas, a, b, strict=True)]
    chroma = torch.from_numpy(np.stack([a, b]) / 200 + 0.5)
    decoded = SPACE.decode(torch.from_numpy(lumas).view(1, 1, 1, -1), chroma.view(1, 2, 1, -1))
    assert np.abs(decoded[0, :, 0].numpy().T - expected).max() < 1e-7


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
def test_the_luma_that_is_shown_is_kept(dtype: torch.dtype, error: float) -> None:
    luminance, chroma = grid(33, dtype)
    rgb = SPACE.decode(luminance, chroma)
    red, green, blue = rgb.clamp(min=0).split(1, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (luma - luminance).abs().max() < error
    inside = ((rgb >= 0) & (rgb <= 1)).all(1, keepdim=True).expand_as(chroma)
    assert inside.double().mean() > 0.1
    ab = rgb_to_lab(rgb.double())[:, 1:]
    assert (ab - (200 * chroma - 100))[inside].abs().max() < 0.02
