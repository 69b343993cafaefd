from copy import deepcopy

import pytest
import torch
import yaml
from timm.layers import BatchNormAct2d, StdConv2d
from torch import nn
from torch.nn import functional

from irodori.config import PROJECT
from irodori.inference.fast_network import fold

PRESETS = sorted(
    settings["backbone"]["name"]
    for settings in map(
        yaml.safe_load,
        (file.read_text() for file in (PROJECT / "conf" / "backbone").glob("*.yaml")),
    )
    if "backbone" in settings
)


def norms_left(network):
    """Names of the batch norms that a network has."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]


LARGE = (
    *("convnext_tiny", "mobilenetv4_conv_small", "resnet50"),
    *("tf_efficientnet_lite1", "tf_efficientnet_lite2"),
)


@pytest.mark.parametrize(
    "output",
    [{}, pytest.param({"output": "ab_classes", "temperature": 0.38}, marks=pytest.mark.long)],
)
@pytest.mark.parametrize(
    ("backbone", "decoder"),
    [
        pytest.param(name, decoder, marks=[pytest.mark.long] if name in LARGE else [])
        for name in PRESETS
        for decoder in (("paper", "skips") if name == "resnet18" else ("skips",))
    ],
)
@torch.no_grad()
def test_a_folded_network_says_the_same_without_norms(make_network, backbone, decoder, output):
    network = make_network(backbone=backbone, decoder=decoder, **output)
    photo, style = torch.rand(2, 1, 33, 47), torch.rand(2, 1, 50, 21)
    for dtype, tolerance, inputs in (
        (torch.float32, 1e-4, (photo,)),
        (torch.float64, 1e-9, (photo, style)),
    ):
        exact = deepcopy(network).to(dtype)
        folded = deepcopy(exact)
        fold(folded)
        assert norms_left(folded) == []
        given = [value.to(dtype) for value in inputs]
        chroma, logits = exact(*given)
        assert chroma.std() > 0.01
        for expected, got in zip((chroma, logits), folded(*given), strict=True):
            assert got.dtype == dtype
            torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "arguments", [{"fusion": "sigmoid"}, {"global_features": False}, {"input_mean": 0.4}]
)
@torch.no_grad()
def test_other_networks_are_folded_too(make_network, arguments):
    network = make_network(**arguments).double()
    folded = deepcopy(network)
    fold(folded)
    assert norms_left(folded) == []
    photo = torch.rand(1, 1, 30, 41).double()
    torch.testing.assert_close(folded(photo), network(photo), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_norms_before_their_convolutions_stay(make_network):
    network = make_network(backbone="resnetv2_50").double()
    before = norms_left(network)
    folded = deepcopy(network)
    fold(folded)
    left = norms_left(folded)
    # Of this encoder's residual blocks the first norm takes the sum of branches.
    assert left
    assert all(name.endswith("norm1") for name in left if name.startswith("backbone.encoder.sta"))
    assert len(left) < len(before) / 2
    photo = torch.rand(1, 1, 33, 20).double()
    torch.testing.assert_close(folded(photo), network(photo), rtol=1e-9, atol=1e-9)


def norm_of(channels, kind=nn.BatchNorm2d, **arguments):
    norm = kind(channels, **arguments)
    nn.init.uniform_(norm.running_mean, -1, 1)
    nn.init.uniform_(norm.running_var, 0.3, 2)
    if norm.affine:
        nn.init.uniform_(norm.weight, -2, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    return norm.double().eval()


class Toy(nn.Module):
    """A convolution and a norm, used as a function of both says."""

    def __init__(self, use, convolution=None, norm=None):
        super().__init__()
        self.convolution = convolution or nn.Conv2d(1, 3, 3, padding=1, padding_mode="reflect")
        self.norm = norm or norm_of(3)
        self.before = norm_of(1)
        self.use = use

    def forward(self, luminance):
        return self.use(self, luminance)


def following(toy, x):
    return functional.relu_(toy.norm(toy.convolution(x)))


def looked_at(toy, x):
    y = toy.convolution(x)
    assert y.shape[1] == y.size(1) == 3
    return toy.norm(y)


def at_two_sizes(toy, x):
    return toy.norm(toy.convolution(x)).mean() + toy.norm(toy.convolution(x[..., 5:]))


def used_again(toy, x):
    y = toy.convolution(x)
    return toy.norm(y) + torch.stack([y, y]).mean(0)


def written_elsewhere(toy, x):
    y = toy.convolution(x)
    other = torch.zeros_like(x).repeat(1, 3, 1, 1)
    other[...] = y
    return toy.norm(y) + other


def something_between(toy, x):
    return toy.norm(functional.relu(toy.convolution(x)))


def once_without_norm(toy, x):
    return toy.norm(toy.convolution(x)) + toy.convolution(x).tanh()


def norm_of_another_too(toy, x):
    return toy.norm(toy.convolution(x)) + toy.norm(x.repeat(1, 3, 1, 1))


def norm_first(toy, x):
    return toy.convolution(toy.before(x))


@pytest.mark.parametrize(
    ("toy", "left"),
    [
        (Toy(following), []),
        (Toy(following, norm=norm_of(3, BatchNormAct2d)), []),
        (Toy(following, StdConv2d(1, 3, 3)), ["norm"]),
        (Toy(looked_at), []),
        (Toy(at_two_sizes), []),
        (Toy(used_again), ["norm"]),
        (Toy(written_elsewhere), ["norm"]),
        (Toy(something_between), ["norm"]),
        (Toy(once_without_norm), ["norm"]),
        (Toy(norm_of_another_too), ["norm"]),
        (Toy(norm_first), ["norm"]),
    ],
)
@torch.no_grad()
def test_only_what_directly_follows_is_folded(toy, left):
    toy = toy.double().eval()
    photo = torch.rand(2, 1, 10, 12).double()
    expected = toy(photo)
    fold(toy)
    # `before` follows no layer, whether it is used or not.
    assert norms_left(toy) == [*left, "before"]
    torch.testing.assert_close(toy(photo), expected, rtol=1e-9, atol=1e-9)
