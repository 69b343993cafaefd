"""Running a Hydra program so that a user's mistake is one line on stderr, not a traceback."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from irodori.errors import IrodoriError

NOISE = ("full_key:", "object_type=", "reference_type=", "See https:")
"""Starts of lines in messages of Hydra and OmegaConf that tell a user nothing."""


@contextmanager
def told() -> Iterator[None]:
    """Turn a user's mistake, or Ctrl-C, into one line on stderr (of rank 0) and exit status 1."""
    try:
        yield
    except (IrodoriError, HydraException, OmegaConfBaseException) as error:
        line = told_line(error)
    except KeyboardInterrupt:
        line = "interrupted"
    else:
        return
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(1)


def run(program: Callable[[], None]) -> None:
    """Call a function decorated with `hydra.main`; mistakes in the configuration are told."""
    # Hydra then raises its errors instead of printing them over several lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with told():
        program()


def told_line(error: Exception) -> str:
    """The error's message, and that of its cause where Hydra wraps one, on one line."""
    messages = [str(error).removeprefix("IrodoriError raised while resolving interpolation: ")]
    if isinstance(error, HydraException) and error.__cause__ is not None:
        messages.append(str(error.__cause__))
    # Hydra lists the schemas among a group's options, and then every place that it looked in.
    noise = re.compile(r"\n\s*schema\w*\b|\nConfig search path:(.|\n)*")
    lines = [line.strip() for text in messages for line in noise.sub("", text).splitlines()]
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(NOISE)))
