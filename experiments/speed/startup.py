"""How long the user waits: for `import irodori`, for `irodori --help`, for the first training step.

    python experiments/speed/startup.py

Whole processes, from their start; the short ones after a warm-up. The last line is one JSON object
of seconds, of the short ones medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LOOK = 0.005
"""Seconds between two looks whether the first step is done."""


def whole(*command: str | Path) -> float:
    """Seconds from a command's start to its end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_step(experiment: str) -> float:
    """Seconds from the start of `python train.py` to the row that its first step leaves.

    Args:
        experiment: of conf/experiment; with W&B, as is the default, which logs offline.

    Raises:
        RuntimeError: it ended before.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "run")
        rows, told = folder / "metrics.csv", Path(name, "told")
        command = [sys.executable, str(PROJECT / "train.py"), f"experiment={experiment}"]
        # By default the first row is that of a later step.
        command += ["trainer.log_every=1", f"hydra.run.dir={folder}"]
        with told.open("w") as file:
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
                        raise RuntimeError(f"{' '.join(command)}: {told.read_text()}")
                    time.sleep(LOOK)
                seconds = time.perf_counter() - start
            finally:
                process.terminate()
                process.wait()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once, and a tiny network: for tests")
    quick = parser.parse_args().quick
    short = 1 if quick else 3
    waits: dict[str, tuple[int, Callable[[], float]]] = {
        "import_irodori": (short, lambda: whole(sys.executable, "-c", "import irodori")),
        "help": (short, lambda: whole(Path(sys.executable).with_name("irodori"), "--help")),
        "first_step": (1, lambda: first_step("quick" if quick else "lab_alpha1")),
    }
    figures = {}
    for name, (times, wait) in waits.items():
        seconds = [wait() for _ in range(times)]
        figures[name] = {"ours": round(statistics.median(seconds[1:] or seconds), 3)}
        print(f"{name}: {', '.join(f'{value:.2f} s' for value in seconds)}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
