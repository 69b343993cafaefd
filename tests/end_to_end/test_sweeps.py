"""Sweeps that really train, on two gloo ranks a job."""

import csv
import json
import sys
import time
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "launching"))

from sweeps import Sweep, jobs_below, seen

pytestmark = pytest.mark.long

TWO = ["trainer=ddp", "trainer.devices=2", "trainer.max_steps=1", "callbacks.pictures=null"]


def on_two(data):
    return [*(text for text in data.on if not text.startswith("callbacks.pictures")), *TWO]


def trained(folder, **values):
    """That both ranks of the job in this folder trained exactly these values, and together."""
    ranks = [seen(folder, rank) for rank in (0, 1)]
    assert ranks[0]["config"] == ranks[1]["config"]
    assert [rank["world_size"] for rank in ranks] == [2, 2]
    # The weights are those of both ranks: each has seen other samples.
    assert ranks[0]["weights"] == ranks[1]["weights"]
    written = yaml.safe_load((folder / "config.yaml").read_text())
    for config in (ranks[0]["config"], written):
        assert {key: config[key] for key in values} == values
    assert written["trainer"]["devices"] == 2
    return ranks[0]


def test_each_trial_is_trained_by_both_its_ranks(data, tmp_path):
    search = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=2",
        "alpha=tag(log,interval(1e-3,1))",
        "seed=range(5,9)",
    ]
    sweep = Sweep(tmp_path, *on_two(data), *search)
    assert sweep.wait() == 0, sweep.lines
    rows = list(csv.DictReader((sweep.folder / "summary.csv").open()))
    assert len({row["alpha"] for row in rows}) == 2
    for row in rows:
        job = sweep.folder / row["job"]
        trained(job, alpha=float(row["alpha"]), seed=int(row["seed"]))
        best = json.loads((job / "metrics.json").read_text())["rows"]["best"]["chroma_rmse"]
        assert float(row["best"]) == best
    assert sorted(path.name for path in sweep.folder.iterdir() if path.is_dir()) == ["0", "1"]
    # Nothing was trained elsewhere.
    assert len(list(tmp_path.rglob("last.ckpt"))) == 2


def test_a_sweep_that_was_told_to_stop_goes_on(data, tmp_path):
    folder = tmp_path / "mine"
    options = [text for text in on_two(data) if not text.startswith("trainer.max_")]
    options += [
        "trainer.max_steps=60",
        "trainer.max_epochs=-1",
        "trainer.check_val_every_n_epoch=20",
    ]
    options += ["seed=1", f"hydra.sweep.dir={folder}"]
    sweep = Sweep(tmp_path, *options)
    sweep.until("mine/0/metrics.csv")
    while len((folder / "0" / "metrics.csv").read_text().splitlines()) < 3:
        assert sweep.process.poll() is None, sweep.lines
        time.sleep(0.05)
    sweep.process.terminate()
    assert sweep.wait(90) == 75, sweep.lines
    assert not jobs_below(folder)
    assert json.loads((folder / "0" / "job.json").read_text())["status"] == "stopped"
    assert any(line.startswith("job 0 was stopped; resume with: ") for line in sweep.lines)
    assert (folder / "0" / "checkpoints" / "last.ckpt").exists()

    again = Sweep(tmp_path, *options)
    assert again.wait() == 0, again.lines
    assert again.folder == folder
    rows = list(csv.DictReader((folder / "0" / "metrics.csv").open()))
    steps = [int(row["step"]) for row in rows if row["train/loss_step"]]
    assert steps == list(range(60))
    assert len(list(tmp_path.rglob("last.ckpt"))) == 1
