"""The conversions of full-size photos are kornia's."""

import torch

from irodori.color import Lab
from irodori.inference.fused_lab import FusedLab


def grid():
    """Colors of sRGB, 3×N: a dense grid of 8-bit levels with both ends and the knee."""
    levels = torch.cat([torch.arange(0, 16), torch.arange(16, 256, 9), torch.tensor([254, 255])])
    axes = torch.meshgrid(*[levels / 255] * 3, indexing="ij")
    return torch.stack([axis.flatten() for axis in axes])[None, :, :, None]


def test_luminance_is_kornias():
    rgb = grid()
    exact = Lab().luminance(rgb.double())
    torch.testing.assert_close(FusedLab().luminance(rgb).double(), exact, rtol=0, atol=2e-6)


def test_decoding_is_kornias_also_out_of_gamut():
    luminance, chroma = Lab().encode(grid().double())
    generator = torch.Generator().manual_seed(0)
    wild = torch.rand(chroma.shape, generator=generator, dtype=torch.float64)
    for colors in (chroma, wild):
        exact = Lab().decode(luminance, colors)
        found = FusedLab().decode(luminance.float(), colors.float())
        # Of an 8-bit level, 1/255, that is less than a hundredth.
        torch.testing.assert_close(found.double(), exact, rtol=2e-6, atol=3e-5)
    again = FusedLab().decode(FusedLab().luminance(grid()), Lab().encode(grid())[1])
    assert torch.equal((again * 255).round(), (grid() * 255).round())


def test_the_input_is_left_as_it_is():
    rgb = grid()
    luminance, chroma = Lab().encode(rgb)
    before = rgb.clone(), luminance.clone(), chroma.clone()
    FusedLab().luminance(rgb)
    FusedLab().decode(luminance, chroma)
    assert all(map(torch.equal, (rgb, luminance, chroma), before))
