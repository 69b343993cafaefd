"""Running a Hydra program so that a user's mistake is one line on stderr, not a traceback."""

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
"""Seconds in which the first rank may report what is wrong."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a user's mistake, or Ctrl-C, into one line on stderr and exit status 1.

    Of several ranks the first one reports for all; another one does if the first has no error.
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
        # What starts the ranks ends all when one has ended, and this one if the first has reported.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(PATIENCE)
        line = f"rank {rank}: {line}"
    print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(1)


def run_program(program: Callable[[], None]) -> None:
    """Call a function decorated with `hydra.main`; mistakes in the configuration are reported."""
    register()
    # Hydra then raises its errors instead of printing them over several lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with report_errors():
        program()


def register() -> None:
    """Register the resolvers of conf/ with OmegaConf; it may be called again.

    `${sample:}` is the folder of the embedded sample, `${or_default:x}` is x, or "default" where x
    is null, and `${run_folder_or:x,y}` is the run folder x, which must hold a run, or y where x is
    null.
    """
    OmegaConf.register_new_resolver("sample", lambda: str(SAMPLE), replace=True)
    OmegaConf.register_new_resolver("or_default", lambda x: x or "default", replace=True)
    OmegaConf.register_new_resolver(
        "run_folder_or", lambda x, y: y if x is None else str(existing_run(x)), replace=True
    )
