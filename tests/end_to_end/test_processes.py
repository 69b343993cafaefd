"""What only shows in processes of their own: several ranks, and `train.py` itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tiny
from forked import Run
from irodori.config import PROJECT
from irodori.model import load_model
from irodori.utils.errors import IrodoriError

TWO = ["trainer=ddp", "trainer.devices=2"]


def on_two(overrides):
    return [*(setting for setting in overrides if "devices" not in setting), *TWO]


def output(*command, cwd):
    """Lines of a command that starts its ranks itself."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "PL_"))}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=environment | {"OMP_NUM_THREADS": "1", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def rows(folder):
    return json.loads((folder / "metrics.json").read_text())["rows"]


@pytest.mark.long
def test_two_ranks_train_as_one_process_does(data, tmp_path):
    steps = Path(__file__).with_name("steps.py")
    settings = [*data.on, "optimizer=adadelta", "optimizer.eps=1e-2", "trainer.max_steps=3"]
    settings += ["trainer.limit_val_batches=0"]
    for name, overrides in {"one": settings, "two": on_two(settings)}.items():
        output(steps, tmp_path / name, *overrides, cwd=tmp_path)
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-6)
    whole = torch.load(tmp_path / "one.0", weights_only=True)
    ranks = [torch.load(tmp_path / f"two.{rank}", weights_only=True) for rank in (0, 1)]
    # Each sample once, and each rank with draws of its own.
    assert sorted(whole["keys"]) == sorted(ranks[0]["keys"] + ranks[1]["keys"])
    assert len(set(whole["keys"])) == 12
    draws = [{tuple(row) for row in rank["draws"].tolist()} for rank in ranks]
    assert len(draws[0]) == len(draws[1]) == 6
    assert not draws[0] & draws[1]
    assert draws[0] | draws[1] == {tuple(row) for row in whole["draws"].tolist()}


@pytest.mark.long
def test_two_ranks_freeze_an_encoder_for_the_first_steps(data, tmp_path):
    frozen = ["backbone=resnet18", "encoder.pretrained=false", "encoder.freeze_steps=2"]
    frozen += ["optimizer=adamw", "callbacks.pictures=null"]
    weights = []
    for steps in (1, 2, 3):
        folder = tmp_path / str(steps)
        limits = [f"trainer.max_steps={steps}", f"hydra.run.dir={folder}"]
        run = Run(tmp_path, *on_two(data.on), *frozen, *limits, ranks=2)
        assert run.end() == [0, 0], run.output
        weights.append(load_model(folder / "checkpoints/last.ckpt").network.state_dict())
    one, two, three = weights
    for name in one:
        if name.startswith("backbone.encoder."):
            assert torch.equal(one[name], two[name]), name
        elif name.endswith("weight"):
            assert not torch.equal(one[name], two[name]), name
    first = "backbone.encoder.conv1.weight"
    assert not torch.equal(two[first], three[first])


@pytest.mark.long
def test_a_user_trains_on_two_processes(data, tmp_path):
    # Five photographs, of which the second rank has nothing in the last round; no validation
    # before the end, so that the best checkpoint is the last.
    val = tiny.shards(tmp_path / "val", 5, first=60)
    overrides = [*tiny.on(data.train, val), "data.val_batch_size=2", *TWO]
    overrides += ["experiment=lab_alpha1", "trainer.max_steps=2", "trainer.max_epochs=5"]
    lines = output(PROJECT / "train.py", *overrides, cwd=tmp_path)
    (folder,) = (tmp_path / "runs" / "lab_alpha1").iterdir()
    assert [line for line in lines if line.startswith("run: ")] == lines[-1:]
    assert Path(lines[-1].removeprefix("run: ")).samefile(folder)
    assert sum("2 processes" in line for line in lines) == 1
    metrics = json.loads((folder / "metrics.json").read_text())
    assert sum(scene["samples"] for scene in metrics["scenes"].values()) == 5

    overrides = [f"checkpoint={folder}/checkpoints/best.ckpt", "trainer.accelerator=cpu"]
    overrides += ["trainer.precision=32-true", f"hydra.run.dir={tmp_path}/alone"]
    run = Run(tmp_path, *overrides, program="evaluate.py")
    assert run.end() == [0], run.output
    alone, best = rows(tmp_path / "alone"), metrics["rows"]["best"]
    assert best["chroma_rmse"] == pytest.approx(alone["model"]["chroma_rmse"], abs=1e-3)
    assert best["accuracy"] == pytest.approx(alone["model"]["accuracy"], abs=1e-4)
    for row in ("gray", "mean_color"):
        expected = pytest.approx(alone[row]["chroma_rmse"], abs=1e-6)
        assert metrics["rows"][row]["chroma_rmse"] == expected


@pytest.mark.long
def test_two_ranks_judge_a_checkpoint_as_one_process_does(data, tmp_path):
    metrics = tiny.run(tmp_path / "run", *data.on, "trainer.max_steps=1")
    overrides = [f"checkpoint={tmp_path}/run/checkpoints/last.ckpt", "trainer.accelerator=cpu"]
    overrides += ["trainer.devices=2", "perceptual=false", f"hydra.run.dir={tmp_path}/out"]
    lines = output(PROJECT / "evaluate.py", *overrides, cwd=tmp_path)
    assert [line for line in lines if line.startswith("evaluation: ")] == lines[-1:]
    assert lines[-1] == f"evaluation: {tmp_path}/out"
    for row, figures in rows(tmp_path / "out").items():
        expected = metrics["rows"][row.replace("model", "last")]
        # Other pictures share a batch, which other sums of the network come from.
        assert figures == pytest.approx(expected, abs=1e-3)
    table = (tmp_path / "out" / "per_image.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in table[1:8]] == [f"photo{n}" for n in range(100, 107)]


def test_a_batch_that_two_ranks_cannot_share_is_refused_before_they_start(data, tmp_path):
    with pytest.raises(IrodoriError, match=r"^data.batch_size=3 is the global batch: 2 rank\(s\)"):
        tiny.run(tmp_path / "run", *on_two(data.on), "data.batch_size=3")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_wandb_without_a_key_logs_offline_into_the_run_folder(data, tmp_path):
    on = [setting for setting in data.on if setting != "logger=csv"]
    on += ["logger=wandb", "trainer.max_steps=1", "experiment=quick"]
    lines = output(PROJECT / "train.py", "-m", *on, "seed=1,2", cwd=tmp_path)
    (sweep,) = (tmp_path / "runs" / "quick").iterdir()
    wandb_lines = [line for line in lines if line.startswith("W&B")]
    assert len(wandb_lines) == 2
    runs = set()
    for line, job in zip(wandb_lines, ("0", "1"), strict=True):
        assert line.startswith("W&B: offline (no key found); upload later with: wandb sync ")
        (offline,) = (sweep / job / "wandb").glob("offline-run-*")
        runs.add(offline.name)
        (log,) = offline.glob("run-*.wandb")
        assert f"quick/{sweep.name}".encode() in log.read_bytes()
        assert list((offline / "files" / "media" / "images").glob("pictures_*.png"))
    assert len(runs) == 2
    assert not (tmp_path / "wandb").exists()
