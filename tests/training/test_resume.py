"""A run that is killed anywhere and resumed ends as one that never was, bit for bit."""

import sys

import pytest
import torch

import tiny
from irodori.config import PROJECT
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.module import ColorizationModule

sys.path.insert(0, str(PROJECT / "experiments" / "streaming"))
from same_run import differences

# 12 photographs: three steps an epoch, of one or two micro-batches.
SETTINGS = {
    "epochs": ["trainer.max_epochs=3", "callbacks.checkpoints.every_steps=1"],
    "steps": [
        "trainer.max_epochs=-1",
        "trainer.max_steps=6",
        "trainer.check_val_every_n_epoch=2",
        "callbacks.checkpoints.every_steps=2",
    ],
    "accumulated": [
        "trainer.max_epochs=2",
        "trainer.accumulate_grad_batches=2",
        "callbacks.checkpoints.every_steps=1",
    ],
    "compiled": [
        "compile=default",
        "trainer.max_epochs=2",
        "callbacks.checkpoints.every_steps=1",
    ],
    "within epochs": [
        "trainer.max_epochs=2",
        "data.batch_size=2",
        "trainer.val_check_interval=4",
        "callbacks.checkpoints.every_steps=1",
    ],
    "limited": [
        "trainer.limit_train_batches=2",
        "trainer.max_epochs=3",
        "data.batch_size=3",
        "callbacks.checkpoints.every_steps=1",
    ],
    "rarely": [
        "trainer.max_epochs=2",
        "callbacks.checkpoints.every_steps=null",
        "callbacks.checkpoints.every_minutes=null",
    ],
}
COMMON = [
    "optimizer=adamw",
    "scheduler=warmup_cosine",
    "scheduler.warmup=0.4",
    "callbacks=[default,ema]",
    "callbacks.ema.decay=0.8",
]


class Killed(BaseException):
    """Nothing handles it, as nothing handles SIGKILL."""


def kill_at(monkeypatch, owner, name, call):
    """Let the `call`-th call of a method end the run."""
    original, calls = getattr(owner, name), []

    def method(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            raise Killed
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, method)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Gives runs that nothing happened to, by their settings: folder and overrides."""
    runs = {}

    def run(name):
        if name not in runs:
            folder = tmp_path_factory.mktemp("whole")
            overrides = [*data.on, *COMMON, *SETTINGS[name]]
            tiny.run(folder / "run", *overrides)
            runs[name] = folder / "run", overrides
        return runs[name]

    return run


MOMENTS = [
    # In the middle of an epoch, between two checkpoints, and of a step.
    ("accumulated", ColorizationModule, "training_step", 4),
    pytest.param("compiled", ColorizationModule, "training_step", 5, marks=pytest.mark.long),
    pytest.param("rarely", ColorizationModule, "training_step", 5, marks=pytest.mark.long),
    # In the validation after the last step that max_steps allows.
    pytest.param("steps", ColorizationModule, "validation_step", 2, marks=pytest.mark.long),
    # In a validation in the middle of an epoch (four batches each), and in the step after it.
    pytest.param("within epochs", ColorizationModule, "validation_step", 2, marks=pytest.mark.long),
    pytest.param("within epochs", ColorizationModule, "training_step", 11, marks=pytest.mark.long),
    # Where an epoch ends before its data.
    pytest.param("limited", ColorizationModule, "training_step", 4, marks=pytest.mark.long),
    # Where the best is written.
    pytest.param("epochs", Checkpoints, "on_validation_end", 2, marks=pytest.mark.long),
]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "owner", "name", "call"), MOMENTS)
def test_killed_anywhere(settings, owner, name, call, whole, tmp_path):
    folder, overrides = whole(settings)
    with pytest.MonkeyPatch.context() as monkeypatch:
        kill_at(monkeypatch, owner, name, call)
        with pytest.raises(Killed):
            tiny.run(tmp_path / "run", *overrides)
    torch.rand(3)  # The state of the generator must be the run's own.
    tiny.resume(tmp_path / "run")
    assert differences(folder, tmp_path / "run") == []


@pytest.mark.long
def test_killed_again_while_a_validation_is_resumed(whole, tmp_path):
    folder, overrides = whole("epochs")
    for start, owner, name, call in (
        (tiny.run, ColorizationModule, "validation_step", 6),
        (tiny.resume, ColorizationModule, "validation_step", 2),
        (tiny.resume, Checkpoints, "on_validation_start", 1),
    ):
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_at(monkeypatch, owner, name, call)
            with pytest.raises(Killed):
                start(tmp_path / "run", *(overrides if start is tiny.run else ()))
    tiny.resume(tmp_path / "run")
    assert differences(folder, tmp_path / "run") == []
