"""What holds in every color space."""

import pytest
import torch
from torch import Tensor

from irodori.color import ColorSpace, LumaAb, Rgb, to_float, to_uint8


def test_every_8_bit_color_comes_back(space: ColorSpace, colors_u8: Tensor) -> None:
    luminance, chroma = space.encode(to_float(colors_u8))
    assert luminance.shape == (1, 1, *colors_u8.shape[2:])
    assert chroma.shape == (1, space.chroma_channels, *colors_u8.shape[2:])
    back = space.decode(luminance, chroma)
    assert back.dtype == torch.float32
    assert torch.equal(to_uint8(back), colors_u8)
    assert (back - to_float(colors_u8)).abs().max() < 2e-5


def test_float64_comes_back_to_its_precision(space: ColorSpace, colors_u8: Tensor) -> None:
    rgb = colors_u8.double() / 255
    assert (space.decode(*space.encode(rgb)) - rgb).abs().max() < 1e-7


def test_srgb_fills_the_unit_range(space: ColorSpace, colors_u8: Tensor) -> None:
    # The extremes of chroma lie on edges of the RGB cube, which the grid holds.
    luminance, chroma = space.encode(to_float(colors_u8))
    assert luminance.min() >= -1e-6
    assert luminance.max() <= 1 + 1e-6
    assert luminance.max() - luminance.min() > 1 - 1e-5
    # The scale of luma_ab is that of published weights, whatever it holds.
    assert chroma.min() >= (-0.04 if isinstance(space, LumaAb) else -1e-6)
    assert chroma.max() <= 1 + 1e-6
    reach = 2 * (chroma - 0.5).abs().amax(dim=(0, 2, 3))
    assert reach.min() > 0.97, "the range is wider than sRGB needs"


def test_gray_has_the_chroma_of_gray(space: ColorSpace) -> None:
    grays = (torch.arange(256) / 255).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    luminance, chroma = space.encode(grays)
    expected = space.gray_chroma(luminance)
    assert expected.shape == chroma.shape
    assert (chroma - expected).abs().max() < 1e-4
    if not isinstance(space, Rgb):
        assert torch.equal(expected, torch.full_like(chroma, 0.5))
    assert torch.equal(to_uint8(space.decode(luminance, expected)), to_uint8(grays))


def test_luminance_alone_is_that_of_encode(space: ColorSpace, colors_u8: Tensor) -> None:
    rgb = to_float(colors_u8)
    luminance, _ = space.encode(rgb)
    torch.testing.assert_close(space.luminance(rgb), luminance, atol=5e-7, rtol=0)
    with pytest.raises(TypeError, match="uint8"):
        space.luminance(colors_u8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_fp32(
    space: ColorSpace, colors_u8: Tensor, dtype: torch.dtype
) -> None:
    rgb = to_float(colors_u8).to(dtype)
    for half, full in zip(space.encode(rgb), space.encode(rgb.float()), strict=True):
        assert half.dtype == torch.float32
        assert torch.equal(half, full)
    luminance, chroma = (part.to(dtype) for part in space.encode(rgb))
    assert space.decode(luminance.double(), chroma).dtype == torch.float64
    assert torch.equal(
        space.decode(luminance, chroma), space.decode(luminance.float(), chroma.float())
    )
    assert space.gray_chroma(luminance).dtype == torch.float32


class Turned(ColorSpace):
    """A user's space: nothing but ranges and matrix products."""

    chroma_range = (1.0, 0.5)

    def native_from_rgb(self, rgb_B3HW: Tensor) -> Tensor:
        return torch.einsum("oi,bihw->bohw", torch.eye(3, dtype=rgb_B3HW.dtype), rgb_B3HW)

    def rgb_from_native(self, native_BDHW: Tensor) -> Tensor:
        return torch.einsum("oi,bihw->bohw", torch.eye(3, dtype=native_BDHW.dtype), native_BDHW)


def test_a_new_space_is_one_class_and_may_use_matrix_products_under_autocast() -> None:
    space = Turned()
    rgb = torch.linspace(0, 1, 48).view(1, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        luminance, chroma = space.encode(rgb)
        decoded = space.decode(luminance, chroma)
    assert torch.equal(luminance, rgb[:, :1])
    torch.testing.assert_close(chroma[:, 0], rgb[:, 1] / 2 + 0.5, atol=1e-7, rtol=0)
    torch.testing.assert_close(decoded, rgb, atol=1e-6, rtol=0)
    assert space.chroma_channels == 2


def test_stays_on_the_device(space: ColorSpace) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        luminance, chroma = space.encode(torch.empty(2, 3, 4, 5, device="meta"))
        decoded = space.decode(luminance, chroma)
    for tensor in (luminance, chroma, decoded, space.gray_chroma(luminance)):
        assert tensor.device.type == "meta"
    assert decoded.shape == (2, 3, 4, 5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_agrees(space: ColorSpace, colors_u8: Tensor) -> None:
    rgb = to_float(colors_u8)
    with torch.autocast("cuda", torch.bfloat16):
        on_gpu = space.encode(rgb.cuda())
        decoded = space.decode(*on_gpu)
    for one, other in zip(on_gpu, space.encode(rgb), strict=True):
        assert one.is_cuda
        assert torch.allclose(one.cpu(), other, atol=1e-5)
    assert decoded.is_cuda
    assert torch.equal(to_uint8(decoded).cpu(), colors_u8)


def test_gradients_are_finite(space: ColorSpace) -> None:
    """For colors in and far out of sRGB: any luminance with any chroma a sigmoid can give."""
    steps = torch.cat([torch.linspace(0, 1, 17), torch.tensor([1e-6, 1e-3, 0.499, 0.501])])
    pairs = torch.cartesian_prod(*[steps] * (1 + space.chroma_channels))
    luminance, chroma = (
        part.T.reshape(1, -1, 1, len(pairs)).clone().requires_grad_()
        for part in (pairs[:, :1], pairs[:, 1:])
    )
    decoded = space.decode(luminance, chroma)
    assert decoded.isfinite().all()
    decoded.square().sum().backward()
    for part in (luminance, chroma):
        assert part.grad is not None
        assert part.grad.isfinite().all()


def test_gradients_of_encode_are_finite(space: ColorSpace) -> None:
    rgb = torch.cartesian_prod(*[torch.tensor([0.0, 1e-8, 0.5, 1.0])] * 3)
    rgb = rgb.T.reshape(1, 3, 1, -1).clone().requires_grad_()
    luminance, chroma = space.encode(rgb)
    (luminance.sum() + chroma.square().sum()).backward()
    assert rgb.grad is not None
    assert rgb.grad.isfinite().all()


def test_gradients_are_right(space: ColorSpace) -> None:
    rgb = torch.linspace(0.25, 0.75, 12).double()[torch.arange(12) * 5 % 12].view(1, 3, 2, 2)
    luminance, chroma = (part.requires_grad_() for part in space.encode(rgb))
    assert torch.autograd.gradcheck(space.decode, (luminance, chroma))


def test_uint8_is_refused_with_the_remedy(space: ColorSpace) -> None:
    with pytest.raises(TypeError, match=r"uint8.*to_float"):
        space.encode(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    with pytest.raises(TypeError, match="luminance_B1HW"):
        space.decode(torch.zeros(1, 1, 2, 2, dtype=torch.int64), torch.zeros(1, 2, 2, 2))
    with pytest.raises(TypeError, match="ndarray"):
        space.encode(torch.zeros(1, 3, 2, 2).numpy())  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 1, 4, 4), (1, 4, 4, 3), ()])
def test_encode_refuses_other_shapes(space: ColorSpace, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="B×3×H×W"):
        space.encode(torch.zeros(shape))


def test_decode_refuses_other_shapes(space: ColorSpace) -> None:
    channels = space.chroma_channels
    luminance, chroma = torch.zeros(2, 1, 4, 4), torch.zeros(2, channels, 4, 4)
    with pytest.raises(ValueError, match="luminance_B1HW"):
        space.decode(torch.zeros(2, 3, 4, 4), chroma)
    with pytest.raises(ValueError, match=f"B×{channels}×H×W"):
        space.decode(luminance, torch.zeros(2, 5 - channels, 4, 4))
    for other in [(1, channels, 4, 4), (2, channels, 2, 4)]:
        with pytest.raises(ValueError, match="same batch, height and width"):
            space.decode(luminance, torch.zeros(other))
    with pytest.raises(ValueError, match="B×1×H×W"):
        space.gray_chroma(chroma)
