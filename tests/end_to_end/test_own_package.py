"""Classes of a user's own package, each with a YAML of its own: nothing of irodori is changed.

tests/own_package is what such a user writes; Python finds it as one that pip has installed.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from hydra.errors import HydraException
from PIL import Image

import tiny
from forked import Run
from irodori.config import PROJECT
from irodori.config.errors import error_line
from irodori.utils.errors import IrodoriError

OWN = PROJECT / "tests" / "own_package"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder with an installed package and configurations, and a way to run commands in it."""
    folder = tmp_path_factory.mktemp("user")
    source = shutil.copytree(OWN, folder / "site")

    def run(program, *arguments):
        done = Run(folder, *map(str, arguments), program=program, PYTHONPATH=str(source))
        assert done.end() == [0], done.output
        assert "Traceback" not in done.output
        return done.output

    run.folder = folder
    run.conf = source / "conf"
    return run


def on(data):
    return [setting for setting in data.on if not setting.startswith(("logger=", "augmentation."))]


@pytest.fixture(scope="module")
def trained(user, data):
    """A run of two steps, resumed for a third and fourth."""
    run = user.folder / "run"
    own = ["--config-dir", user.conf, "experiment=mine"]
    user("train.py", *own, *on(data), "trainer.max_steps=2", f"hydra.run.dir={run}")
    more = [f"resume={run}", "trainer.max_steps=4", "trainer.max_epochs=2", "allow_changes=true"]
    user("train.py", *more, "trust=[own_colors]")
    return run


def test_training_uses_each_of_the_classes(user, trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["training"]["steps"] == 4
    for row in ("best", "last", "gray"):
        assert metrics["rows"][row]["worst_channel"] > 0
    assert metrics["metrics"]["worst_channel"]["title"] == "worst channel"
    # The callback's count goes over the interruption.
    assert (trained / "steps.txt").read_text() == "4"
    rows = [json.loads(line) for line in (user.folder / "log.jsonl").read_text().splitlines()]
    assert rows[0]["settings"]["objective"]["epsilon"] == 0.01
    logged = {row["step"]: row for row in rows if "train/rgb_charbonnier_step" in row}
    assert sorted(logged) == [0, 1, 2, 3]
    assert "train/rgb_charbonnier_epoch" in (trained / "metrics.csv").read_text()
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    network = checkpoint["irodori"]["network"]
    assert network["backbone"] == {"_target_": "own_colors.model.Patches", "channels": 16}
    assert network["decoder"] == {"_target_": "own_colors.model.Upsampled", "_partial_": True}
    assert checkpoint["irodori"]["color_space"]["_target_"] == "own_colors.model.Opponent"
    # The optimizer's own state, and its learning rate after four of twelve or fewer steps.
    assert {state["steps"] for state in checkpoint["optimizer_states"][0]["state"].values()} == {4}
    assert 0.0005 <= checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] < 0.001
    # The objective's own parameters are trained, too.
    assert checkpoint["state_dict"]["objective.log_weight_3"].abs().max() > 0


def test_it_evaluates(user, trained):
    checkpoint = f"checkpoint={trained}/checkpoints/best.ckpt"
    asked = [checkpoint, "perceptual=false", f"hydra.run.dir={user.folder}/evaluation"]
    own = ["--config-dir", user.conf, "metrics=[default,worst_channel]", "trust=[own_colors]"]
    user("evaluate.py", *own, *asked)
    found = json.loads((user.folder / "evaluation" / "metrics.json").read_text())["rows"]["model"]
    wanted = json.loads((trained / "metrics.json").read_text())["rows"]["best"]
    assert {name: found[name] for name in wanted} == wanted


def test_it_exports_and_colorizes(user, trained):
    checkpoint = trained / "checkpoints" / "best.ckpt"
    model = user.folder / "model.safetensors"
    command = ["irodori", "export", "--checkpoint", checkpoint, "--output", model]
    command += ["--format", "safetensors"]
    user(*command, "--trust", "own_colors")
    photo, result = user.folder / "photo.png", user.folder / "colorized.png"
    tiny.photo(7).convert("L").save(photo)
    command = ["irodori", "colorize", photo, "--output", result, "--checkpoint", model]
    user(*command, "--trust", "own_colors")
    colors = np.asarray(Image.open(result)).astype(int)
    assert np.ptp(colors, axis=2).max() > 0


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("objective.epsilon=2", ("objective.epsilon=2", "at most 1")),
        ("objective.epsilon=small", ("objective.epsilon=small",)),
        ("objective=rgb_charbonier", ("objective", "rgb_charbonnier")),
        ("backbone.chanels=8", ("backbone.chanels", "channels")),
        ("objective._target_=own_colors.learning.Charbonnier", ("own_colors.learning",)),
    ],
)
def test_mistakes_are_reported_like_those_in_irodoris_own(user, data, override, parts, monkeypatch):
    monkeypatch.syspath_prepend(user.folder / "site")
    own = [f"hydra.searchpath=[file://{user.conf}]", "experiment=mine", *on(data)]
    tiny.config(*own)
    with pytest.raises((IrodoriError, HydraException)) as refused:
        tiny.config(*own, override)
    line = error_line(refused.value)
    assert "\n" not in line
    assert all(part in line for part in parts), line


def test_nothing_of_irodori_names_the_package():
    files = [path for name in ("src", "conf") for path in (PROJECT / name).rglob("*.[py]*")]
    assert len(files) > 100
    assert not [path for path in files if path.is_file() and b"own_colors" in path.read_bytes()]
