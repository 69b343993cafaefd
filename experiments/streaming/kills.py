"""Kill runs at random moments, resume them, and compare them with uninterrupted runs.

    python experiments/streaming/kills.py [--kills 50] [--ranks 1 2] [--seed 0]

Every run trains on the sample with augmentation, averaged weights and a schedule. A kill is SIGKILL
to all processes of the run at once: ranks and loader workers. Writes kills.json.
"""

import argparse
import json
import os
import platform
import random
import runpy
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

# Imported before the first run is forked, so that each starts fast.
import lightning
import torch
from lightning.pytorch.utilities import rank_zero_only
from same_run import differences

import irodori.training.launch
from irodori.config import PROJECT
from irodori.data.samples import Samples
from irodori.training.callbacks import checkpoints
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.rank_states import TrainMeans
from irodori.training.launch import train  # noqa: F401 - for its own imports
from irodori.training.module import ColorizationModule

HERE = Path(__file__).parent
PATIENCE = 300.0
"""Seconds after which a run counts as hanging."""

OVERRIDES = [
    "experiment=quick",
    "optimizer=adamw",
    "callbacks=[default,ema]",
    "callbacks.ema.decay=0.9",
    "trainer.max_epochs=3",
    "trainer.max_steps=-1",
    "callbacks.checkpoints.every_steps=2",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "data.batch_size=32",
    "data.workers=1",
    "data.val_batch_size=8",
    "logger=csv",
]

Kill = tuple[str, int]
"""A kind of moment, and its occurrence within a process."""


def kill() -> None:
    """Kill all processes of this run, as if the machine failed."""
    os.killpg(0, signal.SIGKILL)


def kill_in(owner: Any, name: str, occurrence: int) -> None:
    """Kill the run at the start of the n-th call of a method."""
    original, calls = getattr(owner, name), Counter[str]()

    def method(*args: Any, **kwargs: Any) -> Any:
        calls[name] += 1
        if calls[name] == occurrence:
            kill()
        return original(*args, **kwargs)

    setattr(owner, name, method)


def kill_while_writing(occurrence: int) -> None:
    """Kill the run when half of a checkpoint is written."""
    original, calls = vars(checkpoints)["replacing"], Counter[str]()

    @contextmanager
    def halfway(path: Path) -> Iterator[BinaryIO]:
        calls["writing"] += 1
        with original(path) as file:
            if calls["writing"] == occurrence:
                write = file.write

                def half(content: Any) -> int:
                    write(content[: len(content) // 2])
                    file.flush()
                    kill()
                    return 0

                file.write = half
            yield file

    vars(checkpoints)["replacing"] = halfway


def kill_after_writing(occurrence: int) -> None:
    """Kill the run as soon as a checkpoint has its final name."""
    original, calls = vars(checkpoints)["replacing"], Counter[str]()

    @contextmanager
    def after(path: Path) -> Iterator[BinaryIO]:
        with original(path) as file:
            yield file
        calls["written"] += 1
        if calls["written"] == occurrence:
            kill()

    vars(checkpoints)["replacing"] = after


MOMENTS: dict[str, tuple[int, Callable[[int], None]]] = {
    "starting": (1, lambda n: kill_in(irodori.training.launch, "build_callbacks", n)),
    "loading": (8, lambda n: kill_in(Samples, "read", n)),
    "within a step": (6, lambda n: kill_in(ColorizationModule, "training_step", n)),
    "in validation": (8, lambda n: kill_in(ColorizationModule, "validation_step", n)),
    "while a checkpoint is written": (6, kill_while_writing),
    "after a checkpoint is written": (5, kill_after_writing),
    "at an epoch's end": (2, lambda n: kill_in(TrainMeans, "on_train_epoch_end", n)),
    "at training's end": (1, lambda n: kill_in(Checkpoints, "on_train_end", n)),
}
"""Largest occurrence of each moment, and a function that prepares the kill."""


def rank(number: int, ranks: int, port: int, overrides: list[str], to: Kill | None) -> None:
    """Train as one rank in a forked process, and be killed."""
    if ranks > 1:
        os.environ |= {
            "TORCHELASTIC_RUN_ID": "kills",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "GROUP_RANK": "0",
        }
    # Lightning looked at the environment when it was imported, before the fork.
    rank_zero_only.rank = number  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    if to is not None and number == 0:
        MOMENTS[to[0]][1](to[1])
    sys.argv = ["train.py", *overrides]
    runpy.run_path(str(PROJECT / "train.py"), run_name="__main__")


def attempt(ranks: int, overrides: list[str], to: Kill | None, log: Path) -> list[int]:
    """Run train.py on some ranks until it ends or is killed; return the exit statuses.

    Raises:
        RuntimeError: a rank fails or hangs.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids: list[int] = []
    for number in range(ranks):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setpgid(0, pids[0] if pids else 0)
                with log.open("ab", buffering=0) as file:
                    os.dup2(file.fileno(), 1)
                    os.dup2(file.fileno(), 2)
                rank(number, ranks, port, overrides, to)
                status = 0
            except SystemExit as left:
                status = int(left.code or 0)
            except BaseException as error:
                print(repr(error), file=sys.stderr)
            finally:
                sys.stdout.flush()
                os._exit(status)
        os.setpgid(pid, pids[0] if pids else pid)
        pids.append(pid)
    end = time.monotonic() + PATIENCE
    statuses: dict[int, int] = {}
    while len(statuses) < ranks:
        for pid in set(pids) - statuses.keys():
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                statuses[pid] = os.waitstatus_to_exitcode(status)
        if time.monotonic() > end or any(status > 0 for status in statuses.values()):
            os.killpg(pids[0], signal.SIGKILL)
            raise RuntimeError(f"a rank fails or hangs: {statuses}\n{log.read_text()}")
        time.sleep(0.005)
    return [statuses[pid] for pid in pids]


def series(ranks: int, kills: int, seed: int, place: Path) -> dict[str, Any]:
    """Kill and resume runs until there are enough kills, and return the results."""
    draw = random.Random(seed)
    log = place / "log"
    world = [f"trainer.devices={ranks}"]
    whole = place / "whole"
    status = attempt(ranks, [*OVERRIDES, *world, f"hydra.run.dir={whole}"], None, log)
    if any(status):
        raise RuntimeError(f"the run that nobody kills ends with {status}: {log.read_text()}")
    moments: Counter[str] = Counter()
    runs, wrong = 0, []
    while moments.total() < kills:
        folder = place / f"run-{runs}"
        begin = [*OVERRIDES, *world, f"hydra.run.dir={folder}"]
        history: list[str] = []
        while True:
            moment = draw.choice(list(MOMENTS))
            to: Kill | None = (moment, draw.randint(1, MOMENTS[moment][0]))
            if moments.total() >= kills or len(history) >= 12:
                to = None
            begun = (folder / "config.yaml").is_file()
            status = attempt(ranks, [f"resume={folder}"] if begun else begin, to, log)
            if status == [0] * ranks:
                break
            if any(code != -signal.SIGKILL for code in status):
                raise RuntimeError(f"{to} ended with {status}: {log.read_text()}")
            moments[moment] += 1
            history.append(f"{moment} {to[1] if to else 0}")
        runs += 1
        found = differences(whole, folder)
        wrong += found
        came = f"{len(found)} values differ, such as {found[0]}" if found else "the same"
        print(f"{ranks} rank(s), {moments.total()} kills: {', '.join(history)}: {came}", flush=True)
        shutil.rmtree(folder)
    return {
        "ranks": ranks,
        "kills": moments.total(),
        "runs": runs,
        "values that differ": wrong,
        "moments": {moment: moments[moment] for moment in MOMENTS},
    }


def main() -> None:
    """Run the series, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "kills.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        all_series = []
        for ranks in options.ranks:
            folder = Path(place) / str(ranks)
            folder.mkdir()
            all_series.append(series(ranks, options.kills, options.seed, folder))
    result = {
        "command": "python experiments/streaming/kills.py",
        "date": date.today().isoformat(),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"torch": str(torch.__version__), "lightning": lightning.__version__},
        "series": all_series,
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    names = [f"{series['ranks']} rank(s)" for series in all_series]
    print("\n| killed | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * len(names))
    for moment in MOMENTS:
        counts = " | ".join(str(series["moments"][moment]) for series in all_series)
        print(f"| {moment} | {counts} |")
    for title, key in (("kills", "kills"), ("runs compared", "runs")):
        counts = " | ".join(f"**{series[key]}**" for series in all_series)
        print(f"| **{title}** | {counts} |")
    wrong = [line for series in all_series for line in series["values that differ"]]
    print(
        "| **values that differ** | "
        + " | ".join(f"**{len(series['values that differ'])}**" for series in all_series)
        + " |"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
