"""Metrics on photographs that a model has seen in training are marked."""

import json
from types import SimpleNamespace

import pytest

import tiny
from irodori.evaluation.launch import evaluate
from irodori.runs.run import Run

QUICK = ["trainer.max_epochs=-1", "trainer.max_steps=2", "callbacks.pictures=null"]


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A run; one initialized with it that validates on what it had seen; and one that does not."""
    folder = tmp_path_factory.mktemp("seen")
    tiny.run(folder / "first", *data.on, *QUICK)
    other = tiny.shards(folder / "other", 6, first=50)
    init = f"init={folder}/first/checkpoints/last.ckpt"
    return SimpleNamespace(
        folder=folder,
        seen=[*tiny.on(other, data.train), *QUICK, init],
        unseen=[*tiny.on(other, data.val), *QUICK, init],
    )


def measured(folder, *overrides):
    """Evaluate, and return the protocol of metrics.json."""
    composed = tiny.compose_evaluation("perceptual=false", "pictures=0", *overrides)
    evaluate(Run(composed, folder, overrides))
    return json.loads((folder / "metrics.json").read_text())["protocol"]


def test_a_run_initialized_with_a_model_that_has_seen_them(runs, capsys):
    folder = runs.folder / "seen"
    protocol = tiny.run(folder, *runs.seen)["protocol"]
    assert "part-0.tar, part-1.tar" in protocol["seen_in_training"]
    out = capsys.readouterr().out
    assert "seen in training" in out
    assert protocol["seen_in_training"] in out
    # When it is resumed, the checkpoint that it was initialized with isn't read again.
    resumed = tiny.resume(folder, "trainer.max_steps=3", "allow_changes=true")["protocol"]
    assert resumed["seen_in_training"] == protocol["seen_in_training"]
    # It stands in its checkpoint for good.
    checkpoint = f'checkpoint="{folder}/checkpoints/last.ckpt"'
    protocol = measured(runs.folder / "evaluated", checkpoint)
    assert "part-0.tar, part-1.tar" in protocol["seen_in_training"]
    assert protocol["seen_in_training"] in capsys.readouterr().out


@pytest.mark.long
def test_a_run_initialized_with_a_model_that_has_not(runs, capsys):
    protocol = tiny.run(runs.folder / "unseen", *runs.unseen)["protocol"]
    assert "seen_in_training" not in protocol
    assert "seen in training" not in capsys.readouterr().out


def test_an_evaluation(runs, data, capsys):
    checkpoint = f'checkpoint="{runs.folder}/first/checkpoints/last.ckpt"'
    protocol = measured(runs.folder / "on val", checkpoint)
    assert "seen_in_training" not in protocol
    on_train = ["data=shards", f'data.val="{data.train}"']
    protocol = measured(runs.folder / "on train", checkpoint, *on_train)
    assert "part-0.tar, part-1.tar" in protocol["seen_in_training"]
    assert protocol["seen_in_training"] in capsys.readouterr().out
