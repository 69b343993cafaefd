"""Running a Hydra program so that a user's mistake is one line on stderr, not a traceback."""

import atexit
import gc
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from irodori.errors import IrodoriError

NOISE = ("full_key:", "object_type=", "reference_type=", "See https:")
"""Starts of lines in messages of Hydra and OmegaConf that tell a user nothing."""


PATIENCE = 3.0
"""Seconds in which the first rank may say what is wrong."""


@contextmanager
def told() -> Iterator[None]:
    """Turn a user's mistake, or Ctrl-C, into one line on stderr and exit status 1.

    Of several ranks the first speaks for all; another one is heard if the first has no error.
    """
    try:
        yield
    except (IrodoriError, HydraException, OmegaConfBaseException) as error:
        line = told_line(error)
    except KeyboardInterrupt:
        line = "interrupted"
    else:
        return
    rank = os.environ.get("LOCAL_RANK", "0")
    if rank != "0":
        # What starts the ranks ends all when one has ended, and this one, if the first has spoken.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(PATIENCE)
        line = f"rank {rank}: {line}"
    print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(1)


def run(program: Callable[[], None]) -> None:
    """Call a function decorated with `hydra.main`; mistakes in the configuration are told."""
    # Hydra then raises its errors instead of printing them over several lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with told():
        program()


@contextmanager
def importing() -> Iterator[None]:
    """Import large packages without the garbage collector, which takes a fifth of their time.

    It would look again and again through modules that all stay. They are left out of later
    collections, too: these are quicker, and loader processes go on sharing the memory.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # At the end all is let go: some extensions count what is left, and complain at length.
        atexit.register(gc.unfreeze)
        gc.enable()


def told_line(error: Exception) -> str:
    """The error's message, and that of its cause where Hydra wraps one, on one line."""
    messages = [str(error).removeprefix("IrodoriError raised while resolving interpolation: ")]
    if isinstance(error, HydraException) and error.__cause__ is not None:
        messages.append(str(error.__cause__))
    # Hydra lists the schemas among a group's options, and then every place that it looked in.
    noise = re.compile(r"\n\s*schema\w*\b|\nConfig search path:(.|\n)*")
    lines = [line.strip() for text in messages for line in noise.sub("", text).splitlines()]
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(NOISE)))
