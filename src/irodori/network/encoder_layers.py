"""The layers of an encoder of timm, from the first to the last."""

from typing import Any

import torch
from torch import nn

from irodori.network.timm_backbone import TimmBackbone


def encoder_layers(backbone: TimmBackbone) -> list[list[nn.Parameter]]:
    """The encoder's parameters, layer by layer as timm counts them.

    Raises:
        ValueError: timm doesn't count this model's layers.
    """
    numbers = layer_numbers(backbone.name)
    layers: dict[int, list[nn.Parameter]] = {}
    for name, weight in backbone.encoder.named_parameters():
        # Some encoders hold the whole model, as `model`.
        number = numbers.get(flattened(name), numbers.get(flattened(name.removeprefix("model."))))
        if number is None:
            raise ValueError(f"timm doesn't say which layer {name} of {backbone.name} belongs to")
        layers.setdefault(number, []).append(weight)
    return [layers[number] for number in sorted(layers)]


def layer_numbers(name: str) -> dict[str, int]:
    """Of each parameter of timm's whole model (see `flattened`) the number of its layer.

    Raises:
        ValueError: timm doesn't count this model's layers.
    """
    import timm
    from timm.models import group_parameters

    # Only names are wanted; but not every version of timm can do without the numbers.
    with torch.random.fork_rng(devices=[]):
        whole: Any = timm.create_model(name, in_chans=1)
    if not hasattr(whole, "group_matcher"):
        raise ValueError(f"timm doesn't count the layers of {name}")
    numbers = group_parameters(whole, whole.group_matcher(coarse=False), reverse=True)
    return {flattened(parameter): number for parameter, number in numbers.items()}


def flattened(name: str) -> str:
    """A parameter's name, the same for a whole model and for one that gives features.

    For these timm moves modules out of their containers: stages.0 becomes stages_0.
    """
    return name.replace(".", "_")
