"""Checkpoints of runs, of networks so narrow that each takes no time."""

import torch

import tiny
from irodori import JointNetwork
from irodori.color import Lab
from irodori.model import Model


def write_checkpoint(path, seed, **arguments):
    """A checkpoint of a run, of a narrow network with colors of its own."""
    space = Lab()
    torch.manual_seed(seed)
    arguments = {"num_classes": 3, "chroma_channels": 2, "width": 1 / 16} | arguments
    network = JointNetwork(**arguments)
    torch.nn.init.normal_(network.colorization.layers[-1].weight, std=2)
    model = Model(network.eval(), space, tiny.CLASSES, 0.1, (0.0, 0.0))
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"irodori": model.describe(), "state_dict": weights}, path)
    return path
