"""`python -m irodori.training.launching.ranks <torchrun's options> <script> <arguments…>`.

torchrun, but: a signal is passed on to the ranks, which end by themselves; the exit status is that
of the first rank that failed; and of torchrun's own report nothing is printed.
"""

import logging
import os
import signal
import sys
from types import FrameType

import psutil
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

# torchrun's own handlers would end the agent, and with it what the ranks' exit statuses say.
OPTIONS = ("--signals-to-handle=SIGQUIT", "--max-restarts=0")


def pass_on(signum: int, frame: FrameType | None) -> None:
    """Send the signal to each rank; without ranks, end."""
    ranks = psutil.Process().children()
    if not ranks:
        sys.exit(128 + signum)
    for rank in ranks:
        try:
            rank.send_signal(signum)
        except psutil.NoSuchProcess:
            continue


def main(arguments: list[str]) -> int:
    """Run the ranks of this node; returns the exit status, 128 + n for signal n."""
    # A rank says itself what went wrong.
    logging.disable(logging.ERROR)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(signum, pass_on)
    options = torchrun.parse_args([*OPTIONS, *arguments])
    # torchrun replaces macros in these; `$$` stands for `$`.
    options.training_script = options.training_script.replace("$", "$$")
    options.training_script_args = [
        text.replace("$", "$$") for text in options.training_script_args
    ]
    os.environ.setdefault(
        "OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(options.nproc_per_node)))
    )
    try:
        torchrun.run(options)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
