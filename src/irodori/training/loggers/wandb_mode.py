"""Whether W&B logs online, offline or not at all, and why."""

import netrc
import os
from pathlib import Path
from typing import Literal, get_args

from irodori.utils.errors import IrodoriError

Mode = Literal["online", "offline", "disabled"]


def wandb_mode(setting: str) -> tuple[Mode, str]:
    """Return the mode and why: the setting, WANDB_MODE, online if a key is found, else offline.

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
            raise IrodoriError(f"{source}={mode} is unknown; it is one of auto, {known}")
    if os.environ.get("WANDB_API_KEY") or _key_in_netrc():
        return "online", "key found"
    return "offline", "no key found"


def _key_in_netrc() -> bool:
    """Return whether `wandb login` left a key in the netrc file; to ask W&B takes a second."""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].rstrip("/")
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
