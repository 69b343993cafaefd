"""A stand-in for train.py on a node: stops with status 75 when told to, and goes on after it."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def stop(signum, frame):
    sys.exit(75)


folder = Path(os.environ["NODE_FOLDER"])
arguments = sys.argv[1:]
with (folder / "calls").open("a") as file:
    file.write(json.dumps(arguments) + "\n")
resumed = arguments[0].startswith("resume=")
if "seed=2" in arguments and not resumed:
    signal.signal(signal.SIGTERM, stop)
    (folder / "config.yaml").write_text("begun")
    while True:
        time.sleep(0.05)
if "seed=3" in arguments and not resumed:
    # SLURM itself has told the ranks to stop.
    (folder / "config.yaml").write_text("begun")
    sys.exit(75)
