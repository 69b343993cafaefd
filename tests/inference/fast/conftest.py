"""Networks whose numbers a mistake would change."""

import pytest
import torch
from torch import nn

from networks import joint, last_layer


@pytest.fixture(scope="session")
def make_network():
    """Makes a narrow network in evaluation mode; see `scaled`."""

    def make(**arguments):
        torch.manual_seed(0)
        network = joint(5, **arguments)
        if network.backbone.encoder_layers():
            network.backbone.input_size = (64, 64)
        return scaled(network)

    return make


@torch.no_grad()
def scaled(network):
    """The network, with norms that are no identities and a prediction that varies."""
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.momentum = None
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.5)
    small = torch.rand(4, 1, 8, 8) * torch.linspace(0.3, 1, 4)[:, None, None, None]
    photos = nn.functional.interpolate(small, (64, 64), mode="bilinear")
    network.train()(photos)
    network.eval()
    last = last_layer(network)
    prediction, _ = network.predict(photos)
    # Chrominance then varies as in photographs, by about a tenth of its range.
    scale = 0.4 / prediction.std()
    last.weight.mul_(scale)
    last.bias.sub_(prediction.mean()).mul_(scale)
    return network
