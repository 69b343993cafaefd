"""Winograd's convolution against the plain one, with its gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from irodori.network import JointNetwork, winograd
from irodori.network.blocks import conv_block, use_winograd
from irodori.network.winograd import WinogradConvolution, convolution, fits, parts


def case(images, inputs, outputs, height, width, dtype=torch.float64, layout=None):
    torch.manual_seed(0)
    picture = torch.randn(images, inputs, height, width, dtype=dtype)
    if layout is not None:
        picture = picture.to(memory_format=layout)
    weight = torch.randn(outputs, inputs, 3, 3, dtype=dtype) / (9 * inputs) ** 0.5
    return [value.requires_grad_() for value in (picture, weight, torch.randn(outputs).to(dtype))]


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 5),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 6),
    height=st.integers(1, 21),
    width=st.integers(1, 21),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    with_bias=st.booleans(),
    num_bytes=st.sampled_from([1, 1 << 11, 1 << 14, 1 << 24]),
)
def test_it_is_the_convolution_with_its_gradients(
    images, inputs, outputs, height, width, layout, with_bias, num_bytes
):
    picture, weight, bias = case(images, inputs, outputs, height, width, layout=layout)
    taken = (picture, weight, bias) if with_bias else (picture, weight)
    plain = functional.conv2d(picture, weight, bias if with_bias else None, padding=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "BYTES", num_bytes)
        patch.setattr(winograd, "FEWEST", 0)
        ours = convolution(picture, weight, bias if with_bias else None)
        gradient = torch.randn(plain.shape, dtype=plain.dtype)
        found = torch.autograd.grad(ours, taken, gradient)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-11)
    expected = torch.autograd.grad(plain, taken, gradient)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_below_fewest_channels_only_its_gradients_are_winograds(monkeypatch):
    called = []
    plain = winograd.convolved
    monkeypatch.setattr(winograd, "convolved", lambda *given: called.append(1) or plain(*given))
    picture, weight, bias = case(1, 8, 8, 12, 12)
    result = convolution(picture, weight, bias)
    assert not called
    torch.testing.assert_close(result, functional.conv2d(picture, weight, bias, padding=1))
    result.sum().backward()
    assert called


def test_rounding_is_a_few_times_that_of_the_plain_convolution():
    picture, weight, bias = (value.detach() for value in case(1, 512, 64, 28, 28, torch.float32))
    exact = functional.conv2d(picture.double(), weight.double(), bias.double(), padding=1)
    ours = WinogradConvolution(layer_of(weight, bias))(picture)
    errors = [
        ((result.double() - exact).square().mean() / exact.square().mean()).sqrt().item()
        for result in (ours, functional.conv2d(picture, weight, bias, padding=1))
    ]
    assert errors[0] < 3e-6
    assert errors[0] < 30 * errors[1]


def layer_of(weight, bias):
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, dtype=weight.dtype)
    layer.weight = nn.Parameter(weight.detach())
    layer.bias = nn.Parameter(bias.detach())
    return layer


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 1 << 26))
def test_parts_are_all_tiles_once(images, rows, columns, tile_bytes):
    seen = [
        (image, row)
        for part in parts(images, rows, columns, tile_bytes)
        for image in range(part.images.start, part.images.stop)
        for row in range(part.rows.start, part.rows.stop)
    ]
    assert sorted(seen) == [(image, row) for image in range(images) for row in range(rows)]
    assert len(set(seen)) == len(seen)
    for part in parts(images, rows, columns, tile_bytes):
        at_once = (part.images.stop - part.images.start) * (part.rows.stop - part.rows.start)
        assert at_once == 1 or at_once * columns * tile_bytes <= winograd.BYTES


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 1, "padding": 0},
        {"stride": 2},
        {"padding": 0},
        {"dilation": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
        {"out_channels": 63},
    ],
)
def test_other_layers_do_not_fit(settings):
    usual = {"in_channels": 64, "out_channels": 64, "kernel_size": 3, "padding": 1}
    assert fits(nn.Conv2d(**usual), 64 * 64)
    assert not fits(nn.Conv2d(**{**usual, **settings}), 64 * 64)


def test_a_network_trains_by_it_as_without():
    torch.manual_seed(0)
    plain = JointNetwork(3, width=0.25).double().train()
    fast = JointNetwork(3, width=0.25).double().train()
    fast.load_state_dict(plain.state_dict())
    use_winograd(fast)
    by_winograd = [name for name, m in fast.named_modules() if getattr(m, "winograd", False)]
    assert by_winograd == ["backbone.low.5", "backbone.mid.0", "backbone.mid.1"]
    luminance = torch.rand(3, 1, 64, 48, dtype=torch.float64)
    for network in (plain, fast):
        chroma, logits = network(luminance)
        (chroma.square().sum() + logits.square().sum()).backward()
    for (name, one), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-7, atol=1e-9, msg=name)
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=1e-9, atol=1e-9)


def test_in_use_a_network_is_the_plain_one():
    block = conv_block(64, 64)
    use_winograd(block)
    assert block.winograd
    picture = torch.rand(1, 64, 8, 8)
    expected = nn.Sequential(*block).eval()(picture)
    assert torch.equal(block.eval()(picture), expected)
