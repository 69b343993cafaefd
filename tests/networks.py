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


def colorful_model(seed=0, space=None, classes=("beach", "forest", "street"), **arguments):  # type: ignore[no-untyped-def]
    """A narrow model with colors of its own."""
    space = space or Lab()
    torch.manual_seed(seed)
    network = joint(len(classes), space.chroma_channels, **arguments)
    torch.nn.init.normal_(network.colorization.layers[-1].weight, std=2)
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
