"""Two ways of doing the same, each in a fresh process of its own, one after the other."""

import json
import subprocess
import sys
from pathlib import Path

SIDES = ("plain", "ours")


def both(script: Path, options: list[str], flops: dict[str, float]) -> None:
    """Run a script for each side, and print a line for each figure and all as one JSON object.

    Args:
        script: measures the side that --side names, and prints its figures as a JSON object.
        options: for both sides.
        flops: operations an image, to go with the figures that have them.
    """
    figures: dict[str, dict[str, float]] = {}
    for side in SIDES:
        command = [sys.executable, str(script), "--side", side, *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        for name, value in json.loads(done.stdout.splitlines()[-1]).items():
            figures.setdefault(name, {})[side] = value
    for name, values in figures.items():
        plain, ours = values["plain"], values["ours"]
        print(f"{name}: {plain:.4g} / {ours:.4g} = {plain / ours:.2f}")
        if name in flops:
            values["flops_per_image"] = flops[name]
    print(json.dumps(figures))
