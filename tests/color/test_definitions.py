"""Each space against its definition: scikit-image, or the published formula in NumPy float64."""

import numpy as np
import pytest
import skimage.color
import torch
from numpy.typing import NDArray
from torch import Tensor

from irodori.color import ColorSpace, Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv, rgb_to_lab
from irodori.color.luv import WHITE_V

Array = NDArray[np.float64]


def yuv(rgb: Array) -> Array:
    """BT.601 luma; U = 0.436 (B - Y) / (1 - 0.114), V = 0.615 (R - Y) / (1 - 0.299)."""
    y = rgb @ np.array([0.299, 0.587, 0.114])
    return np.stack(
        [y, 0.436 * (rgb[..., 2] - y) / 0.886, 0.615 * (rgb[..., 0] - y) / 0.701], axis=-1
    )


def ycbcr(rgb: Array) -> Array:
    """JFIF 1.02: Cb = (B - Y) / 1.772, Cr = (R - Y) / 1.402, here without the offset of 128."""
    y = rgb @ np.array([0.299, 0.587, 0.114])
    return np.stack([y, (rgb[..., 2] - y) / 1.772, (rgb[..., 0] - y) / 1.402], axis=-1)


def luma_ab(rgb: Array) -> Array:
    """BT.601 luma, and a* and b*."""
    return np.concatenate([yuv(rgb)[..., :1], skimage.color.rgb2lab(rgb)[..., 1:]], axis=-1)


def oklab(rgb: Array) -> Array:
    """Ottosson's linear_srgb_to_oklab, after the sRGB transfer curve."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    r, g, b = np.moveaxis(linear, -1, 0)
    l_root = np.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    m_root = np.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    s_root = np.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return np.stack(
        [
            0.2104542553 * l_root + 0.7936177850 * m_root - 0.0040720468 * s_root,
            1.9779984951 * l_root - 2.4285922050 * m_root + 0.4505937099 * s_root,
            0.0259040371 * l_root + 0.7827717662 * m_root - 0.8086757660 * s_root,
        ],
        axis=-1,
    )


REFERENCES = {
    Lab: skimage.color.rgb2lab,
    Luv: skimage.color.rgb2luv,
    Yuv: yuv,
    YCbCr: ycbcr,
    Oklab: oklab,
    LumaAb: luma_ab,
}


def native(space: ColorSpace, rgb: Tensor) -> Tensor:
    """Return the picture in native units, scaled back by the ranges that the space describes."""
    luminance, chroma = space.encode(rgb)
    half = torch.tensor(space.chroma_range, dtype=chroma.dtype).view(1, -1, 1, 1)
    return torch.cat([luminance * space.luminance_range, (chroma - 0.5) * 2 * half], dim=1)


def expected(made_by: type[ColorSpace], rgb: Tensor) -> Tensor:
    pixels = rgb.double().permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(REFERENCES[made_by](pixels)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("made_by", REFERENCES)
def test_agrees_with_its_definition(made_by: type[ColorSpace], colors_u8: Tensor) -> None:
    rgb = colors_u8.double() / 255
    reference = expected(made_by, rgb)
    assert (native(made_by(), rgb) - reference).abs().max() < 1e-6
    assert (native(made_by(), rgb.float()) - reference).abs().max() < 5e-4


def test_lab_in_native_units(colors_u8: Tensor) -> None:
    rgb = colors_u8.double() / 255
    lab = rgb_to_lab(rgb)
    assert lab.dtype == torch.float64
    assert (lab - expected(Lab, rgb)).abs().max() < 1e-9
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = rgb_to_lab(rgb.float())
    assert torch.equal(rgb_to_lab(rgb.float()), under_autocast)
    with pytest.raises(TypeError, match="uint8"):
        rgb_to_lab(colors_u8)
    with pytest.raises(ValueError, match="B×3×H×W"):
        rgb_to_lab(rgb[0])


def test_lab_in_fp32_between_the_levels(colors_u8: Tensor) -> None:
    """To 1e-4 in units of L*a*b*, for levels and for what lies between them."""
    between = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(0))
    for rgb in (colors_u8.float() / 255, between, between**4):
        assert (rgb_to_lab(rgb) - rgb_to_lab(rgb.double())).abs().max() < 1e-4


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_lab_outside_srgb_looks_as_in_other_tools() -> None:
    """A network's chroma is often outside sRGB; what is shown is scikit-image's."""
    space = Lab()
    steps = torch.linspace(0, 1, 21, dtype=torch.float64)
    pairs = torch.cartesian_prod(steps, steps, steps)
    luminance, chroma = pairs[:, :1].T.reshape(1, 1, 1, -1), pairs[:, 1:].T.reshape(1, 2, 1, -1)
    half = torch.tensor(space.chroma_range).view(1, 2, 1, 1)
    lab = torch.cat([luminance * 100, (chroma - 0.5) * 2 * half], dim=1)
    decoded = space.decode(luminance, chroma)
    shown = torch.from_numpy(skimage.color.lab2rgb(lab.permute(0, 2, 3, 1).numpy()))
    assert (decoded.clamp(0, 1) - shown.permute(0, 3, 1, 2)).abs().max() < 1e-6


def test_luv_stays_bounded_where_its_formula_divides_by_zero() -> None:
    space = Luv()
    lightness = torch.linspace(1, 20, 39, dtype=torch.float64)
    v = -13 * lightness * WHITE_V  # where v′ is 0
    chroma = torch.stack([torch.full_like(v, 0.7), v / (2 * space.chroma_range[1]) + 0.5])
    chroma = chroma.view(1, 2, 1, -1).requires_grad_()
    decoded = space.decode((lightness / 100).view(1, 1, 1, -1), chroma)
    decoded.sum().backward()
    assert decoded.abs().max() < 1e3
    assert chroma.grad is not None
    assert chroma.grad.abs().max() < 1e4


def test_rgb_keeps_the_photos_own_luminance() -> None:
    space = Rgb()
    luminance, chroma = torch.rand(2, 1, 8, 8), torch.rand(2, 3, 8, 8)
    decoded = space.decode(luminance, chroma)
    red, green, blue = decoded.split(1, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert torch.allclose(luma, luminance, atol=1e-6)
    moved = decoded - chroma
    assert torch.allclose(moved, moved[:, :1].expand_as(moved), atol=1e-6)
