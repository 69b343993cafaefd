"""The pictures that every test of colour looks at."""

import numpy as np
import pytest
import torch
from torch import Tensor

from irodori.color import COLOR_SPACES, ColorSpace, color_space


@pytest.fixture(params=sorted(COLOR_SPACES))
def space(request: pytest.FixtureRequest) -> ColorSpace:
    return color_space(request.param)


@pytest.fixture(scope="session")
def colors_u8() -> Tensor:
    """33³ colours on a grid with its corners, every gray, and the darkest colours: 1×3×1×N."""
    levels = np.linspace(0, 255, 33).round()
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    grays = np.repeat(np.arange(256)[:, None], 3, axis=1)
    dark = np.stack(np.meshgrid(*[np.arange(8)] * 3), axis=-1).reshape(-1, 3)
    colors = np.concatenate([grid, grays, dark]).astype(np.uint8)
    return torch.from_numpy(colors).T.reshape(1, 3, 1, -1).contiguous()
