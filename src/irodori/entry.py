"""Running a Hydra program so that a user's mistake is one line on stderr, not a traceback."""

import os
import sys
from collections.abc import Callable

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from irodori.errors import IrodoriError


def run(program: Callable[[], None]) -> None:
    """Call a function decorated with `hydra.main`; exit with status 1 after a user's mistake."""
    # Hydra then raises its errors instead of printing them over several lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        program()
    except (IrodoriError, HydraException, OmegaConfBaseException) as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
        sys.exit(1)


def one_line(error: Exception) -> str:
    """The error's message on one line; of a chain, the message of the cause where it says more."""
    messages = [str(error)]
    if isinstance(error, HydraException) and error.__cause__ is not None:
        messages.append(str(error.__cause__))
    lines = [
        line.strip()
        for message in messages
        for line in message.splitlines()
        if line.strip() and not line.strip().startswith(("full_key:", "object_type=", "See https:"))
    ]
    return " ".join(dict.fromkeys(lines))
