"""Whether W&B logs online, offline or not at all, and why."""

import netrc
import os
from pathlib import Path
from typing import Literal

from irodori.utils.errors import IrodoriError

Mode = Literal["online", "offline", "disabled"]
MODES: tuple[Mode, ...] = ("online", "offline", "disabled")


def wandb_mode(setting: str) -> tuple[Mode, str]:
    """The mode and why: the setting, then WANDB_MODE, then online if a key is found, else offline.

    Raises:
        IrodoriError: the mode is unknown.
    """
    for source, mode in (("logger.mode", setting), ("WANDB_MODE", os.environ.get("WANDB_MODE"))):
        if not mode or (source, mode) == ("logger.mode", "auto"):
            continue
        for known in MODES:
            if mode == known:
                return known, source
        raise IrodoriError(f"{source}={mode} is unknown; it is one of auto, {', '.join(MODES)}")
    if os.environ.get("WANDB_API_KEY") or key_in_netrc():
        return "online", "key found"
    return "offline", "no key found"


def key_in_netrc() -> bool:
    """Whether `wandb login` left a key in the netrc file."""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].rstrip("/")
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
