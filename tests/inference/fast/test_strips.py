"""Strips against the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from irodori.inference.fast import faster, strips
from irodori.inference.fast.strips import Strips

KINDS = [
    {},
    {"output": "ab_classes", "temperature": 0.38},
    {"decoder": "skips"},
    {"backbone": "resnet18"},
]


@pytest.mark.parametrize("arguments", KINDS)
@pytest.mark.parametrize("size", [(95, 40), (128, 33), (200, 24)])
@torch.no_grad()
def test_a_network_says_in_strips_what_it_says(make_network, monkeypatch, arguments, size):
    network = make_network(**arguments).double()
    monkeypatch.setattr(strips, "ROWS", 32)
    fast = faster(network, "fp32")
    expected_strips = (not {"decoder", "backbone"} & set(arguments)) + ("decoder" not in arguments)
    parts = [module for module in fast.modules() if isinstance(module, Strips)]
    assert len(parts) == expected_strips
    heights = []
    for part in parts:
        part.layers.register_forward_pre_hook(lambda _, given: heights.append(given[0].shape[-2]))
    torch.manual_seed(1)
    luminance = torch.rand(2, 1, *size, dtype=torch.float64)
    for expected, got in zip(network(luminance), fast(luminance), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)
    # The global path sees 224 pixels.
    assert all(height <= 32 + 2 * strips.BORDER or height == 224 for height in heights)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.sampled_from([(1, 8, 1), (8, 1, 4), (8, 1, 2)]))
def test_rows_are_where_they_belong(height, form):
    pixels, shrink, grow = form

    class Layers(nn.Module):
        """Each row of the output holds the row of the input that it belongs to."""

        def forward(self, features):
            rows = features[:, :, ::shrink]
            return rows.repeat_interleave(grow, 2)

    rows = torch.arange(height, dtype=torch.float64).reshape(1, 1, -1, 1).expand(2, 3, -1, 5)
    got = Strips(Layers(), pixels, shrink, grow)(rows)
    assert torch.equal(got, Layers()(rows))


@pytest.mark.parametrize("border", [16])
@torch.no_grad()
def test_a_narrower_border_would_show(make_network, monkeypatch, border):
    network = make_network().double()
    monkeypatch.setattr(strips, "ROWS", 32)
    monkeypatch.setattr(strips, "BORDER", border)
    luminance = torch.rand(1, 1, 128, 32, dtype=torch.float64)
    assert (faster(network, "fp32")(luminance)[0] - network(luminance)[0]).abs().max() > 1e-6
