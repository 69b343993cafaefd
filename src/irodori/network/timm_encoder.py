"""Encoders of timm: how they are created, what is known of them, and their layers."""

from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn

from irodori.network import lite0

STRIDES = (8, 16, 32)
"""Strides of the levels that local and global features are made of."""
LARGEST = 224
"""Side in pixels of what the global path sees, at most, where levels have a single stride."""


class Facts(NamedTuple):
    """What is known of an encoder.

    Attributes:
        name: with the tag of its weights. timm has several for one model, whose inputs differ.
        strides, channels: of its levels.
        size: height and width at which it sees whole photos: those it was trained with.
        mean, std: of luminance, as it expects it.
        input_scale: photos are scaled by it, so that the strides are powers of 2.
        channels_last: whether levels are B×h×w×C.
        options: further arguments of `timm.create_model`, for pictures of any size.
        fixed_size: whether timm says that it takes one size only, in spite of them.
    """

    name: str
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    size: tuple[int, int]
    mean: float
    std: float
    input_scale: float = 1.0
    channels_last: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    fixed_size: bool = False


LITE0 = Facts(
    f"{lite0.NAME}.{lite0.TAG}",
    lite0.STRIDES,
    lite0.CHANNELS,
    lite0.SIZE,
    lite0.MEAN,
    lite0.DEVIATION,
)
OPTIONS: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
"""Arguments by which models of a fixed input size take pictures of any size."""


def create_encoder(name: str, pretrained: bool = False) -> nn.Module:
    """Return a model of timm for one channel that gives features at several strides.

    Args:
        name: see `Facts`.
        pretrained: load its weights, from timm's cache or the hub.

    Raises:
        ValueError: see `encoder_facts`.
    """
    if name == LITE0.name and not pretrained:
        return lite0.Lite0()
    import timm

    facts = encoder_facts(name)
    # timm's attributes aren't declared.
    network: Any = timm.create_model(
        name, pretrained=pretrained, features_only=True, in_chans=1, **dict(facts.options)
    )
    if facts.fixed_size and torch.get_default_device().type != "meta":
        # Where it looks up positions beyond its table, only real numbers show it.
        try:
            check_levels(network)
        except Exception as error:
            raise unusable(name, error) from None
    encoder: nn.Module = network
    return encoder


@cache
def encoder_facts(name: str) -> Facts:
    """Return what is known of a model of timm, after a check that it can be an encoder.

    Raises:
        ValueError: timm has no such model, or it doesn't take pictures of any size, or it has no
            level at stride 8 and more than one.
    """
    if name in (lite0.NAME, LITE0.name):
        return LITE0
    # A prefix would make timm fetch a model's configuration from a hub.
    if ":" in name or "/" in name:
        raise ValueError(f"{name!r} is no name of a model of timm: it has a ':' or a '/'")
    # Imported here: it takes seconds, and only these backbones need it.
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name.partition(".")[0], timm.list_models(), n=3)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise ValueError(f"timm has no model {name!r}{hint}")
    fixed = timm.get_pretrained_cfg_value(name, "fixed_input_size")
    reason: Exception | None = None
    for options in OPTIONS if fixed else OPTIONS[-1:]:
        try:
            # On the meta device nothing is computed, nor held in memory.
            with torch.device("meta"), torch.no_grad():
                network: Any = timm.create_model(name, features_only=True, in_chans=1, **options)
                check_levels(network)
                return facts_of(network, options)._replace(fixed_size=bool(fixed and not options))
        except Exception as error:
            # timm raises many kinds here; the first option is the one that most models have.
            reason = error if reason is None or isinstance(reason, TypeError) else reason
    raise unusable(name, reason)


def unusable(name: str, reason: Exception | None) -> ValueError:
    """Return the error for a model that can't be an encoder."""
    line = (str(reason).strip() or type(reason).__name__).splitlines()[0]
    return ValueError(f"{name} of timm can't be a backbone: {line}")


@torch.no_grad()
def check_levels(network: Any) -> None:
    """Raise ValueError unless levels have their sizes, for pictures that aren't square.

    Some models raise errors of their own for pictures larger than what they were trained with.
    """
    strides, channels = network.feature_info.reduction(), network.feature_info.channels()
    step = strides[-1]
    height, width = (side // step * step for side in network.pretrained_cfg["input_size"][1:])
    training = network.training
    network.eval()
    for size in ((2 * step, 3 * step), (height + step, width + 2 * step)):
        levels = network(torch.zeros(1, 1, *size))
        for stride, count, level in zip(strides, channels, levels, strict=True):
            shape = level.permute(0, 3, 1, 2).shape if is_channels_last(network) else level.shape
            if shape != (1, count, size[0] // stride, size[1] // stride):
                raise ValueError(f"at stride {stride} it gives {tuple(shape)} for {size}")
    network.train(training)


def is_channels_last(network: Any) -> bool:
    """Return whether an encoder's levels are B×h×w×C."""
    return getattr(network, "output_fmt", "NCHW") == "NHWC"


def facts_of(network: Any, options: dict[str, Any]) -> Facts:
    """Return what an encoder of timm says of itself."""
    config, levels = network.pretrained_cfg, network.feature_info
    height, width = config["input_size"][1:]
    strides, channels = tuple(levels.reduction()), tuple(levels.channels())
    scale = 1.0
    if len(set(strides)) == 1:
        nearest = min(STRIDES, key=lambda s: abs(s - strides[0]))
        scale, strides, channels = strides[0] / nearest, (nearest,), channels[-1:]
        # Larger ones cost much, and these models take any size.
        height = width = min(LARGEST, height // 32 * 32)
    elif STRIDES[0] not in strides:
        raise ValueError(f"it has levels at strides {strides}, and one at stride 8 is needed")
    return Facts(
        ".".join(filter(None, (config["architecture"], config.get("tag")))),
        strides,
        channels,
        (height, width),
        sum(config["mean"]) / 3,
        sum(config["std"]) / 3,
        scale,
        is_channels_last(network),
        tuple(options.items()),
    )


def parameter_layers(name: str, encoder: nn.Module) -> list[list[nn.Parameter]]:
    """Return an encoder's parameters, layer by layer as timm counts them.

    Raises:
        ValueError: timm doesn't count this model's layers.
    """
    import timm
    from timm.models import group_parameters

    with torch.device("meta"):
        whole: Any = timm.create_model(name, in_chans=1)
    if not hasattr(whole, "group_matcher"):
        raise ValueError(f"timm doesn't count the layers of {name}")
    numbers = {
        flattened(parameter): number
        for parameter, number in group_parameters(
            whole, whole.group_matcher(coarse=False), reverse=True
        ).items()
    }
    layers: dict[int, list[nn.Parameter]] = {}
    for parameter, weight in encoder.named_parameters():
        # Some encoders hold the whole model, as `model`.
        inner = flattened(parameter.removeprefix("model."))
        number = numbers.get(flattened(parameter), numbers.get(inner))
        if number is None:
            raise ValueError(f"timm doesn't say which layer {parameter} of {name} belongs to")
        layers.setdefault(number, []).append(weight)
    return [layers[number] for number in sorted(layers)]


def flattened(name: str) -> str:
    """Return a parameter's name, the same for a whole model and for one that gives features.

    For the latter timm moves modules out of their containers: stages.0 becomes stages_0.
    """
    return name.replace(".", "_")
