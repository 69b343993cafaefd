"""The wait from `python train.py` to the first step, beside importing torch and Lightning alone.

    python experiments/speed/startup.py

Whole processes, in turn, after a warm-up; with W&B offline, as without a key. The last line is a
JSON object: medians in seconds, and their ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from irodori.config import PROJECT

LOOK = 0.005
"""Seconds between two looks whether the first step is done."""


def imports() -> float:
    """Return the seconds of a process that imports torch and Lightning."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, lightning"], check=True)
    return time.perf_counter() - start


def first_step(experiment: str) -> float:
    """Return the seconds from the start of `python train.py` to the row of its first step.

    Raises:
        RuntimeError: it ended before.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, output = Path(name, "run"), Path(name, "output")
        command = [sys.executable, str(PROJECT / "train.py"), f"experiment={experiment}"]
        # By default the first row is that of a later step.
        command += ["trainer.log_every_n_steps=1", f"hydra.run.dir={folder}"]
        rows = folder / "metrics.csv"
        with output.open("w") as file:
            start = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=name,
                env={**os.environ, "WANDB_MODE": "offline"},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            try:
                # Lightning has the file written before the first step, too: without a row.
                while not rows.exists() or len(rows.read_text().splitlines()) < 2:
                    if process.poll() is not None:
                        raise RuntimeError(f"{' '.join(command)}: {output.read_text()}")
                    time.sleep(LOOK)
                return time.perf_counter() - start
            finally:
                process.terminate()
                process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once, without a warm-up")
    quick = parser.parse_args().quick
    rounds = [(imports(), first_step("lab_alpha1")) for _ in range(1 if quick else 4)]
    measured = rounds if quick else rounds[1:]
    alone, whole = (statistics.median(seconds) for seconds in zip(*measured, strict=True))
    figures = {"imports_s": alone, "first_step_s": whole, "ratio": whole / alone}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
