"""Choosing W&B's mode: online, offline or disabled."""

import os
from typing import Literal, get_args

from requests.utils import get_netrc_auth

from irodori.utils.errors import IrodoriError

Mode = Literal["online", "offline", "disabled"]


def wandb_mode(setting: str) -> tuple[Mode, str]:
    """Return mode and reason: the setting, WANDB_MODE, online if a key is found, else offline.

    Raises:
        IrodoriError: the mode is unknown.
    """
    asked = {"logger.mode": "" if setting == "auto" else setting}
    asked["WANDB_MODE"] = os.environ.get("WANDB_MODE", "")
    for source, mode in asked.items():
        for known in get_args(Mode):
            if mode == known:
                return known, source
        if mode:
            known = ", ".join(get_args(Mode))
            raise IrodoriError(f"{source}={mode} is unknown: choose one of auto, {known}")
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    # `wandb login` stores a key in the netrc file; asking W&B itself takes a second.
    if os.environ.get("WANDB_API_KEY") or get_netrc_auth(url):
        return "online", "key found"
    return "offline", "no key found"
