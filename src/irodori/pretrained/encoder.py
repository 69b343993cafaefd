"""ImageNet weights for timm encoders, from a package or from the hub."""

from typing import Any

import requests
import torch
from safetensors.torch import load_file
from torch import Tensor

from irodori.network.timm_encoder import create_encoder
from irodori.pretrained.lite import PACKAGES, packaged_weights
from irodori.utils.errors import IrodoriError, one_line

SECONDS = 5
"""Seconds without response after which the hub counts as unreachable."""
FILE = "model.safetensors"
"""The file that timm loads from a repository on the hub."""


def encoder_weights(name: str) -> tuple[dict[str, Tensor], str]:
    """Return the weights of a timm model for one input channel, and their source.

    They are taken from the hub's cache, or downloaded.

    Raises:
        IrodoriError: the weights are unavailable.
    """
    # Imported here, since it takes seconds.
    import timm
    from huggingface_hub import constants, try_to_load_from_cache

    model = name.partition(".")[0]
    package = PACKAGES.get(model)
    config: Any = timm.get_pretrained_cfg(name)
    source = f"{config.hf_hub_id or config.url} (timm)"
    given: dict[str, Any] = {}
    offline = False
    if package is not None and package.missing() is None:
        given, source = {"state_dict": packaged_weights(model)}, package.source
    elif isinstance(cached := try_to_load_from_cache(config.hf_hub_id or "", FILE), str):
        given = {"state_dict": load_file(cached)}
    else:
        # Offline, the hub's client would retry for most of a minute.
        offline = constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT)
    try:
        if offline:
            raise ConnectionError(f"{constants.ENDPOINT} can't be reached")
        with torch.random.fork_rng(devices=[]):
            network, _ = create_encoder(name, pretrained=True, pretrained_cfg_overlay=given)
    except Exception as error:
        # The exceptions depend on the source.
        more = f"{package.missing()}, or " if package else ""
        raise IrodoriError(
            f"the weights of {name} are unavailable ({one_line(error)}): {more}repeat the command"
            " online, or train without them: encoder.pretrained=false"
        ) from None
    return network.state_dict(), source


def answers(url: str) -> bool:
    """Return whether a server responds."""
    try:
        requests.head(url, timeout=SECONDS)
    except requests.RequestException:
        return False
    return True
