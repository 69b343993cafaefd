"""ImageNet weights for any encoder of timm: from an extra where there is one, else from its hub."""

from typing import Any
from unittest import mock

import requests
import torch
from torch import Tensor

from irodori.network.timm_encoder import create_encoder
from irodori.pretrained import lite0
from irodori.utils.errors import IrodoriError, one_line

SECONDS = 5
"""After which a hub that doesn't answer counts as out of reach."""


def encoder_weights(name: str) -> tuple[dict[str, Tensor], str]:
    """Weights of a model of timm, as it gives features of one channel, and where they come from.

    They come from the cache of the hub where they are in it, and are downloaded where they aren't.

    Args:
        name: of timm.

    Raises:
        IrodoriError: they can't be had.
    """
    if name.partition(".")[0] == lite0.MODEL and lite0.missing() is None:
        return lite0.gray_stem(lite0.features_state_dict()), lite0.SOURCE
    # Imported here: it takes a second.
    from huggingface_hub import constants

    # Without a network the hub asks again and again for most of a minute, and only then looks into
    # its cache.
    offline = constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            mock.patch.object(constants, "HF_HUB_OFFLINE", offline),
        ):
            network: Any = create_encoder(name, pretrained=True)
    except Exception as error:
        # Of many kinds, by what the source is.
        reason = f"{constants.ENDPOINT} can't be reached" if offline else one_line(error)
        more = f"{lite0.missing()}, or " if name.startswith(lite0.MODEL) else ""
        raise IrodoriError(
            f"the weights of {name} can't be had ({reason}): {more}give the command again with a"
            " network, or train without them: encoder.pretrained=false"
        ) from None
    config = network.pretrained_cfg
    return network.state_dict(), f"{config.get('hf_hub_id') or config.get('url')} (timm)"


def answers(url: str) -> bool:
    """Whether a server answers at all."""
    try:
        requests.head(url, timeout=SECONDS)
    except requests.RequestException:
        return False
    return True
