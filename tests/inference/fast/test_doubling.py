from copy import deepcopy

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from irodori.inference.fast.doubling import Doubling, merge_doublings
from irodori.network.decoders import Colorization


@given(
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@torch.no_grad()
def test_it_is_enlargement_and_convolution_at_every_place(inputs, outputs, height, width, seed):
    torch.manual_seed(seed)
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1).double()
    features = torch.randn(2, inputs, height, width).double()
    enlarged = functional.interpolate(features, scale_factor=2, mode="nearest")
    torch.testing.assert_close(
        Doubling(convolution)(features), convolution(enlarged), rtol=1e-12, atol=1e-12
    )


@torch.no_grad()
def test_a_colorization_network_keeps_what_it_says():
    torch.manual_seed(0)
    colorization = Colorization(8, 2, 1, 1 / 8).double().eval()
    merged = deepcopy(colorization)
    merge_doublings(merged)
    modules = list(merged.modules())
    assert sum(isinstance(module, Doubling) for module in modules) == 2
    assert not any(isinstance(module, nn.Upsample) for module in modules)
    features = torch.randn(1, 8, 5, 3).double()
    torch.testing.assert_close(
        merged(features, {}), colorization(features, {}), rtol=1e-12, atol=1e-12
    )
