import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from torch.nn import functional

from irodori.inference.export.write import (
    Traceable,
    scaled_by_products,
    use_static_padding,
)
from networks import joint


@given(height=st.integers(1, 500), width=st.integers(1, 500), wanted=st.sampled_from([7, 224]))
def test_matrix_products_scale_as_torch_does(height, width, wanted):
    luminance = torch.rand(2, 1, height, width, dtype=torch.float64)
    expected = functional.interpolate(
        luminance, (wanted, wanted + 1), mode="bilinear", antialias=True
    )
    found = scaled_by_products(luminance, wanted, wanted + 1)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("backbone", "arguments"),
    [
        ("paper", {}),
        ("paper", {"num_classes": 0}),
        ("paper", {"global_features": False}),
        ("resnet18", {}),
    ],
)
@torch.no_grad()
def test_it_is_the_networks_own_forward(backbone, arguments):
    torch.manual_seed(0)
    arguments = {"num_classes": 3, "width": 1 / 16, "decoder": "skips", **arguments}
    network = joint(backbone=backbone, **arguments).eval()
    for size in ((1, 1), (32, 64), (33, 50), (224, 224)):
        luminance = torch.rand(2, 1, *size)
        expected = [part for part in network(luminance) if part is not None]
        found = Traceable(network)(luminance)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2dSame(4, 6, 3, stride=2),
        Conv2dSame(4, 4, (5, 3), stride=2, groups=4, bias=False),
        Conv2dSame(4, 6, 3, dilation=2),
        MaxPool2dSame(3, 2),
    ],
)
@torch.no_grad()
def test_padding_that_the_size_does_not_decide(layer):
    features = torch.randn(2, 4, 16, 32) - 1
    network = nn.Sequential(nn.Identity(), layer)
    expected = network(features)
    use_static_padding(network)
    assert network[1] is not layer
    assert torch.equal(network(features), expected)
