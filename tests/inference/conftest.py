"""Small models that every test of inference colors with."""

import pytest
import torch
from torch import nn

from irodori.color import Lab
from irodori.model import Model
from networks import joint


def build(made_by=Lab, seed=0, **arguments):
    """A narrow model whose colors differ from place to place, pale but to be seen."""
    space = made_by()
    torch.manual_seed(seed)
    arguments = {"num_classes": 3, "width": 1 / 16} | arguments
    network = joint(chroma_channels=space.chroma_channels, **arguments)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None
            nn.init.uniform_(layer.bias, -0.3, 0.5)
    # The norms see pictures of several contrasts once, so that the network's numbers stay moderate.
    contrast = torch.linspace(0.2, 1, 8)[:, None, None, None]
    small = torch.rand(8, 1, 6, 6) * contrast
    with torch.no_grad():
        network.train()(nn.functional.interpolate(small, (96, 96), mode="bilinear"))
        network.colorization.layers[-1].bias.zero_()
    return Model(network.eval(), space, ("sea", "hill", "town"), 0.25, (3.0, 9.0))


@pytest.fixture(scope="session")
def make_model():
    """Makes a model of a class of color spaces, with a network's arguments."""
    return build


@pytest.fixture(scope="session")
def model():
    return build()
