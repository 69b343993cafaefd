"""Two ways of doing the same, each in fresh processes of its own, in turn."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

Figures = dict[str, dict[str, float]]
SIDES = ("plain", "ours")


def seconds(call: Callable[[], object]) -> float:
    """What a call takes."""
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def wait() -> None:
    """Until a GPU has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def both(script: Path, options: list[str]) -> Figures:
    """What the script prints, as a line of JSON, with --side plain and with --side ours."""
    figures: Figures = {}
    for side in SIDES:
        command = [sys.executable, str(script), "--side", side, *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        for name, value in json.loads(done.stdout.splitlines()[-1]).items():
            figures.setdefault(name, {})[side] = value
    return figures
