"""Small networks by short names, models of them, and their checkpoints, as many tests make them."""

from functools import partial

import torch

from irodori.color import Lab
from irodori.model import Model
from irodori.network import JointNetwork
from irodori.network.decoders import ColorizationDecoder, QueryDecoder, SkipDecoder
from irodori.network.output import AbClassesOutput, ChromaOutput
from irodori.network.paper_backbone import PaperBackbone
from irodori.network.timm_backbone import TimmBackbone

DECODERS = {"paper": ColorizationDecoder, "skips": SkipDecoder, "queries": QueryDecoder}


def joint(  # type: ignore[no-untyped-def]
    num_classes=3,
    chroma_channels=2,
    *,
    width=1 / 16,
    global_features=True,
    backbone="paper",
    input_mean=0.0,
    decoder="paper",
    output="chroma",
    temperature=0.38,
    **arguments,
):
    """A joint network whose backbone is "paper" or a model of timm."""
    if backbone == "paper":
        backbone = PaperBackbone(width, global_features, input_mean)
    elif isinstance(backbone, str):
        backbone = TimmBackbone(backbone, width, global_features)
    return JointNetwork(
        num_classes,
        chroma_channels,
        width=width,
        global_features=global_features,
        backbone=backbone,
        decoder=partial(DECODERS[decoder], width=width),
        output=ChromaOutput
        if output == "chroma"
        else partial(AbClassesOutput, temperature=temperature),
        **arguments,
    )


@torch.no_grad()
def lively(network):  # type: ignore[no-untyped-def]
    """The network in evaluation mode, with norms that are no identities and have seen pictures.

    Those are of several contrasts, so that its numbers stay moderate and colors vary.
    """
    for norm in network.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            norm.momentum = None
            torch.nn.init.uniform_(norm.bias, -0.3, 0.5)
    coarse = torch.rand(8, 1, 6, 6) * torch.linspace(0.2, 1, 8)[:, None, None, None]
    network.train()(torch.nn.functional.interpolate(coarse, (96, 96), mode="bilinear"))
    return network.eval()


def varied_model(made_by=Lab, seed=0, **arguments):  # type: ignore[no-untyped-def]
    """A narrow model whose colors differ from place to place, pale but to be seen."""
    space = made_by()
    torch.manual_seed(seed)
    network = lively(joint(chroma_channels=space.chroma_channels, **arguments))
    with torch.no_grad():
        last_layer(network).bias.zero_()
    classes = ("sea", "hill", "town")[: network.arguments["num_classes"]]
    return Model(network, space, classes, 0.25, (3.0, 9.0))


def last_layer(network):  # type: ignore[no-untyped-def]
    """The convolution that gives the prediction."""
    decoder = network.colorization
    return decoder.layers[-1] if hasattr(decoder, "layers") else decoder.output


def colorful_model(seed=0, space=None, classes=("beach", "forest", "street"), **arguments):  # type: ignore[no-untyped-def]
    """A narrow model with colors of its own."""
    space = space or Lab()
    torch.manual_seed(seed)
    network = joint(len(classes), space.chroma_channels, **arguments)
    torch.nn.init.normal_(last_layer(network).weight, std=2)
    return Model(network.eval(), space, classes, 0.1, (0.0, 0.0))


def checkpoint_of(model, **more):  # type: ignore[no-untyped-def]
    """What a checkpoint of a run holds of a model."""
    weights = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    return {"irodori": model.describe(), "state_dict": weights, **more}


def save_checkpoint(model, path):  # type: ignore[no-untyped-def]
    """Write a checkpoint as a run does, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint_of(model), path)
    return path
