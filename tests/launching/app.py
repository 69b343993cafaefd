"""train.py, but each rank writes down what it trains; used by tests.

With APP_BEHAVIOR it doesn't train at all: a JSON object that gives for a seed what the job does.
"""

import inspect
import json
import os
import signal
import sys
import time
import types

from irodori.config import signature
from irodori.utils.errors import IrodoriError

RANK = os.environ.get("LOCAL_RANK", "0")


def note(run, folder, **more):
    """<folder>/rank-<rank>.json: the configuration, and what the environment says."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = {
        "config": run.settings(),
        "group": os.environ.get("WANDB_RUN_GROUP"),
        "pid": os.getpid(),
        **more,
    }
    path = folder / f"rank-{RANK}.json"
    path.with_suffix(".part").write_text(json.dumps(seen))
    path.with_suffix(".part").replace(path)


def stop(signum, frame):
    sys.exit(75)


def pretend(run, _):
    """Do what APP_BEHAVIOR says for this seed; the score is least at lr=1e-3."""
    folder = run.folder
    behavior = json.loads(os.environ["APP_BEHAVIOR"]).get(str(run.config.seed), "train")
    if behavior == "wait":
        signal.signal(signal.SIGTERM, stop)
    note(run, folder)
    if behavior == "refuse":
        raise IrodoriError("this seed can't be had")
    if behavior == "crash":
        raise RuntimeError("out of luck")
    if behavior == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while behavior in ("wait", "hang"):
        time.sleep(0.1)
    import math

    value = 10.5 + abs(math.log10(run.config.optimizer.lr) + 3)
    row = {"chroma_rmse": value, "accuracy": 0.5}
    rows = dict.fromkeys(("best", "last", "mean_color", "gray"), row)
    (folder / "metrics.json").write_text(json.dumps({"rows": rows}))
    print(f"run: {folder}", flush=True)


if "APP_BEHAVIOR" in os.environ:
    launch = types.ModuleType("irodori.training.launch")
    launch.train = pretend
    sys.modules["irodori.training.launch"] = launch
    # Importing Lightning and torch for their signatures would take longer than all the rest.
    anything = inspect.signature(lambda *args, **kwargs: None)
    signature.imported_signature = lambda target: anything
else:
    from irodori.training import launch

    real = launch.train

    build_trainer = launch.build_trainer
    trainers = []

    def kept(*arguments):
        trainers.append(build_trainer(*arguments))
        return trainers[-1]

    def noted(run, stop):
        real(run, stop)
        weights = sum(float(x.double().abs().sum()) for x in trainers[-1].model.parameters())
        note(run, run.folder, weights=weights, world_size=trainers[-1].world_size)

    launch.train = noted
    launch.build_trainer = kept

if __name__ == "__main__":
    # Imported after the changes above; a sweep's jobs run this file.
    from irodori.programs.train import main
    from irodori.runs.program import run_program

    run_program(main)
