"""The layers of an encoder of timm, from the first to the last."""

from typing import Any

import torch
from torch import nn

from irodori.network.backbone import Backbone
from irodori.network.timm_backbone import TimmBackbone


def encoder_layers(backbone: Backbone) -> list[list[nn.Parameter]]:
    """The encoder's parameters, layer by layer as timm counts them; empty without an encoder."""
    if not isinstance(backbone, TimmBackbone):
        return []
    numbers = layer_numbers(backbone.name)
    layers: dict[int, list[nn.Parameter]] = {}
    for name, weight in backbone.encoder.named_parameters():
        layers.setdefault(numbers[flattened(name)], []).append(weight)
    return [layers[number] for number in sorted(layers)]


def layer_numbers(name: str) -> dict[str, int]:
    """Of each parameter of timm's whole model (see `flattened`) the number of its layer."""
    import timm
    from timm.models import group_parameters

    # Only names are wanted: no memory is taken, and no random number drawn.
    with torch.device("meta"):
        whole: Any = timm.create_model(name, in_chans=1)
    numbers = group_parameters(whole, whole.group_matcher(coarse=False), reverse=True)
    return {flattened(parameter): number for parameter, number in numbers.items()}


def flattened(name: str) -> str:
    """A parameter's name, the same for a whole model and for one that gives features.

    For these timm moves modules out of their containers: stages.0 becomes stages_0.
    """
    return name.replace(".", "_")
