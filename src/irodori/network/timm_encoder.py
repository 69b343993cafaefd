"""Creating and inspecting encoders of timm."""

from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from irodori.network.efficientnet_lite import LEVELS, STAGES, EfficientNetLite, stage_channels

STRIDES = (8, 16, 32)
"""Strides of the levels for local and global features."""
LARGEST = 224
"""Largest side in pixels of the global path's input for models with a single stride."""
ANY_SIZE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
"""Arguments that make models with a fixed input size accept any size."""


class EncoderInfo(NamedTuple):
    """Properties of an encoder."""

    name: str
    """timm's name with the tag of the weights; other tags may use another normalization."""
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    """Channels of the levels, ordered by stride."""
    size: tuple[int, int]
    """Height and width of the training images, used for whole photos."""
    mean: float
    std: float
    """Standard deviation of the luminance."""
    input_scale: float = 1.0
    """Factor by which photos are scaled, so that the strides are powers of 2."""
    channels_last: bool = False
    """Whether levels are channels-last, B×h×w×C."""


LITE = {
    "tf_efficientnet_lite0": (1.0, 1.0, 224),
    "tf_efficientnet_lite1": (1.0, 1.1, 240),
    "tf_efficientnet_lite2": (1.1, 1.2, 260),
}
"""Width, depth and input size of encoders that don't need timm."""


def create_encoder(name: str, **options: Any) -> tuple[nn.Module, EncoderInfo]:
    """Create a timm model with one input channel that returns features at several strides.

    Args:
        name: name with or without the tag of the weights.
        options: further arguments of `timm.create_model`, such as `pretrained`.

    Raises:
        ValueError: timm has no such model, it doesn't accept any image size, or it has several
            levels but none at stride 8.
    """
    plain, _, tag = name.partition(".")
    if plain in LITE and tag in ("", "in1k") and not options:
        width, depth, side = LITE[plain]
        channels = tuple(stage_channels(STAGES[level][-1], width) for level in LEVELS)
        info = EncoderInfo(
            f"{plain}.in1k", (2, 4, 8, 16, 32), channels, (side, side), mean=0.5, std=0.5
        )
        return EfficientNetLite(width, depth), info
    # A prefix would make timm download a configuration from a hub.
    if ":" in name or "/" in name:
        raise ValueError(f"{name!r} is not a name of a timm model: it contains ':' or '/'")
    # Imported here, since it takes seconds and only these backbones need it.
    import timm

    if not timm.is_model(name):
        near = get_close_matches(plain, timm.list_models(), n=3)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise ValueError(f"timm has no model {name!r}{hint}")
    fixed = timm.get_pretrained_cfg_value(name, "fixed_input_size")
    reason: Exception | None = None
    for more in ANY_SIZE if fixed else ANY_SIZE[-1:]:
        create = partial(timm.create_model, name, features_only=True, in_chans=1, **more)
        try:
            network: Any = create()
            check_levels(network)
            info = encoder_info(network)
        except Exception as error:
            # timm raises many exceptions; most models support the first option.
            reason = error if reason is None or isinstance(reason, TypeError) else reason
        else:
            return create(**options) if options else network, info
    line = (str(reason).strip() or type(reason).__name__).splitlines()[0]
    raise ValueError(f"{name} of timm can't be a backbone: {line}") from None


@torch.no_grad()
def check_levels(network: Any) -> None:
    """Raise ValueError unless levels have the expected sizes for non-square pictures.

    Some models raise other errors for pictures larger than their training size, some of them only
    with real tensors, not on the meta device.
    """
    strides, channels = network.feature_info.reduction(), network.feature_info.channels()
    step = strides[-1]
    height, width = (side // step * step for side in network.pretrained_cfg["input_size"][1:])
    network.eval()
    for size in ((2 * step, 3 * step), (height + step, width + 2 * step)):
        levels = network(torch.zeros(1, 1, *size))
        for stride, count, level in zip(strides, channels, levels, strict=True):
            shape = level.permute(0, 3, 1, 2).shape if is_channels_last(network) else level.shape
            if shape != (1, count, size[0] // stride, size[1] // stride):
                raise ValueError(f"at stride {stride} it returns {tuple(shape)} for {size}")
    network.train()


def is_channels_last(network: Any) -> bool:
    """Return whether an encoder's levels are channels-last, B×h×w×C."""
    return getattr(network, "output_fmt", "NCHW") == "NHWC"


def encoder_info(network: Any) -> EncoderInfo:
    """Return the properties of a timm encoder."""
    config, levels = network.pretrained_cfg, network.feature_info
    height, width = config["input_size"][1:]
    strides, channels = tuple(levels.reduction()), tuple(levels.channels())
    scale = 1.0
    if len(set(strides)) == 1:
        nearest = min(STRIDES, key=lambda s: abs(s - strides[0]))
        scale, strides, channels = strides[0] / nearest, (nearest,), channels[-1:]
        # Larger inputs are expensive, and these models accept any size.
        height = width = min(LARGEST, height // 32 * 32)
    elif STRIDES[0] not in strides:
        raise ValueError(f"it has levels at strides {strides}, but stride 8 is required")
    return EncoderInfo(
        name=".".join(filter(None, (config["architecture"], config.get("tag")))),
        strides=strides,
        channels=channels,
        size=(height, width),
        mean=sum(config["mean"]) / 3,
        std=sum(config["std"]) / 3,
        input_scale=scale,
        channels_last=is_channels_last(network),
    )
