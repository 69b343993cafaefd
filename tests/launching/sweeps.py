"""Sweeps in real processes, for tests."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from irodori.training.launching.pool import marked

APP = Path(__file__).with_name("app.py")
QUICK = ["experiment=quick", "logger=csv", "trainer.accelerator=cpu"]


class Sweep:
    """`app.py -m …` in a folder of its own, in the background; its output in `lines` at its end."""

    def __init__(self, cwd: Path, *overrides: str, behavior=None, flags=(), path=""):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WANDB", "PL_", "SLURM", "CUDA"))
        }
        environment |= {
            "OMP_NUM_THREADS": "1",
            "HOME": str(cwd),
            "COLUMNS": "160",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")])),
        }
        if behavior is not None:
            environment["APP_BEHAVIOR"] = json.dumps(behavior)
        self.cwd = cwd
        self.output = cwd / f"output-{time.monotonic_ns()}.txt"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, APP, "-m", *flags, *QUICK, *overrides],
                cwd=cwd,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait(self, timeout: float = 240) -> int:
        """The exit status."""
        return self.process.wait(timeout)

    @property
    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()

    @property
    def folder(self) -> Path:
        """The sweep's folder, from the last line."""
        assert self.lines[-1].startswith("sweep: "), self.lines
        return Path(self.lines[-1].removeprefix("sweep: "))

    def until(self, pattern: str, count: int = 1, timeout: float = 120) -> list[Path]:
        """Wait for so many files of this pattern below the working folder."""
        deadline = time.monotonic() + timeout
        while len(found := sorted(self.cwd.glob(pattern))) < count:
            assert time.monotonic() < deadline, self.lines
            assert self.process.poll() is None, self.lines
            time.sleep(0.05)
        return found


def seen(folder: Path, rank: int = 0) -> dict:
    """What app.py wrote down."""
    return json.loads((folder / f"rank-{rank}.json").read_text())


def jobs_below(folder: Path) -> list[int]:
    """The processes that belong to jobs in this folder."""
    return [process.pid for process in marked(str(folder), below=True)]
