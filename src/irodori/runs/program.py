"""Running Hydra programs with errors on one line of stderr instead of tracebacks."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from omegaconf import OmegaConf

from irodori.config import SAMPLE
from irodori.config.errors import error_line, is_user_error
from irodori.utils.run_files import existing_run

PATIENCE = 3.0
"""Seconds to wait for the first rank's error report."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Report a user's error or Ctrl-C on one line of stderr, with exit status 1.

    With several ranks, only the first one reports; another one does if the first has no error.
    """
    try:
        yield
    except Exception as error:
        if not is_user_error(error):
            raise
        line = error_line(error)
    except KeyboardInterrupt:
        line = "interrupted"
    else:
        return
    rank = os.environ.get("LOCAL_RANK", "0")
    if rank != "0":
        # The launcher ends all ranks when one has ended: this one if the first rank has reported.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(PATIENCE)
        line = f"rank {rank}: {line}"
    print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(1)


def run_program(program: Callable[[], None]) -> None:
    """Call a function decorated with `hydra.main`, and report errors in the configuration."""
    register()
    # Hydra then raises errors instead of printing them on several lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with report_errors():
        program()


def register() -> None:
    """Register the resolvers of conf/ with OmegaConf; repeated calls are allowed.

    `${sample:}` is the folder of the embedded sample, `${or_default:x}` is x, or "default" where x
    is null, and `${run_folder_or:x,y}` is the run folder x, which must hold a run, or y where x is
    null.
    """
    OmegaConf.register_new_resolver("sample", lambda: str(SAMPLE), replace=True)
    OmegaConf.register_new_resolver("or_default", lambda x: x or "default", replace=True)
    OmegaConf.register_new_resolver(
        "run_folder_or", lambda x, y: y if x is None else str(existing_run(x)), replace=True
    )
