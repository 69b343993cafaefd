"""Backbones, decoders and outputs of a user's own."""

import copy

import pytest
import torch
from torch import nn

from irodori.config.describable import build, describe
from irodori.network import Backbone, Decoder, Global, JointNetwork, Local, Output
from irodori.utils.errors import IrodoriError


class Mine(Backbone):
    """A single convolution, whose mean is the global feature."""

    local_channels = global_channels = scene_channels = 6

    def __init__(self, kernel: int = 9) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 6, kernel, stride=8, padding=kernel // 2)

    def local_features(self, luminance_B1HW):
        return Local(self.layer(luminance_B1HW).relu(), {})

    def global_features(self, luminance_B1HW):
        mean_BC = self.layer(self.resized(luminance_B1HW)).mean((2, 3))
        return Global(mean_BC, mean_BC)


class Flat(Backbone):
    """It has no global path."""

    local_channels = 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 8, stride=8)

    def local_features(self, luminance_B1HW):
        height, width = (-side % 8 for side in luminance_B1HW.shape[-2:])
        return Local(self.layer(nn.functional.pad(luminance_B1HW, (0, width, 0, height))), {})


class Upsampled(Decoder):
    """One convolution, upsampled."""

    def __init__(self, in_channels, out_channels, stride, skip_channels, kernel=1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, out_channels, kernel)
        self.factor = 4 // stride

    def forward(self, features_BCHW, skips):
        return nn.functional.interpolate(self.layer(features_BCHW), scale_factor=self.factor)


class Tanh(Output):
    """A hyperbolic tangent in place of the sigmoid."""

    def __init__(self, chroma_channels) -> None:
        super().__init__()
        self.channels = chroma_channels

    def forward(self, prediction_BQHW, height, width):
        return prediction_BQHW.float()[..., :height, :width].tanh() / 2 + 0.5


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (64, 33)])
def test_parts_of_ones_own_are_used(size):
    torch.manual_seed(0)
    network = JointNetwork(3, 2, backbone=Mine(7), decoder=Upsampled, output=Tanh).eval()
    style = torch.rand(2, 1, 20, 30)
    chroma, _ = network(torch.rand(2, 1, *size))
    assert chroma.shape == (2, 2, *(-(-side // 2) for side in size))
    assert torch.equal(network(torch.rand(2, 1, *size), style)[1], network(style)[1])
    again = build(describe(network), trust=[__name__]).eval()
    again.load_state_dict(network.state_dict())
    luminance = torch.rand(2, 1, *size)
    assert torch.equal(again(luminance)[0], network(luminance)[0])
    assert torch.equal(copy.deepcopy(network)(luminance)[0], network(luminance)[0])


def test_without_a_global_path():
    network = JointNetwork(3, backbone=Flat(), global_features=False)
    chroma, logits = network.eval()(torch.rand(1, 1, 20, 30))
    assert (chroma.shape, logits) == ((1, 2, 10, 15), None)
    with pytest.raises(ValueError, match="Flat has no global path"):
        JointNetwork(3, backbone=Flat())


def test_a_global_path_that_is_not_wanted_is_not_used():
    backbone = Mine()
    backbone.global_features = None
    chroma, logits = JointNetwork(3, backbone=backbone, global_features=False)(
        torch.rand(2, 1, 16, 16)
    )
    assert (chroma.shape, logits) == ((2, 2, 8, 8), None)


def test_an_encoder_of_ones_own_is_nothing_that_has_to_be():
    backbone = Mine()
    assert backbone.encoder is None
    assert backbone.encoder_layers() == []
    assert backbone.first_layer() is backbone.layer
    backbone.freeze_batch_norm(True)
    with pytest.raises(IrodoriError, match="Mine has no pretrained weights"):
        backbone.load_pretrained()
