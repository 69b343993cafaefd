"""The pictures that every test of color looks at."""

import numpy as np
import pytest
import torch
from torch import Tensor

from irodori.color import ColorSpace, Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv


@pytest.fixture(params=[Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv])
def space(request: pytest.FixtureRequest) -> ColorSpace:
    made: ColorSpace = request.param()
    return made


@pytest.fixture(scope="session")
def colors_u8() -> Tensor:
    """33³ colors on a grid with its corners, every gray, and the darkest colors: 1×3×1×N."""
    levels = np.linspace(0, 255, 33).round()
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    grays = np.repeat(np.arange(256)[:, None], 3, axis=1)
    dark = np.stack(np.meshgrid(*[np.arange(8)] * 3), axis=-1).reshape(-1, 3)
    colors = np.concatenate([grid, grays, dark]).astype(np.uint8)
    return torch.from_numpy(colors).T.reshape(1, 3, 1, -1).contiguous()
