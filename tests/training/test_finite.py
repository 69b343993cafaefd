"""A run that diverges stops, says why, and leaves what it can be resumed from."""

import pytest
import torch

import tiny
from irodori.training.module import ColorizationModule
from irodori.utils.errors import IrodoriError

pytestmark = pytest.mark.slow


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def all_finite(stored):
    return all(weights.isfinite().all() for weights in stored["state_dict"].values())


def test_a_loss_that_is_not_a_number_stops_the_run(data, tmp_path):
    # A learning rate that no network stands: the weights are finite after the first step, and what
    # the network makes of them is not.
    wild = ["optimizer=adamw", "optimizer.lr=1e30", "callbacks.checkpoints.every_steps=1"]
    folder = tmp_path / "run"
    for start, overrides in ((tiny.run, [*data.on, *wild]), (tiny.resume, [])):
        with pytest.raises(IrodoriError) as stopped:
            start(folder, *overrides)
        message = str(stopped.value)
        assert message.startswith("the loss of step 2 is nan (samples photo")
        assert len(message.partition("(samples ")[2].partition(")")[0].split(", ")) == 4
        assert last(folder)["global_step"] == 1
        assert all_finite(last(folder))
    # The rows of the checkpoint's steps, none of them twice.
    assert len((folder / "metrics.csv").read_text().splitlines()) <= 3


def infinite_at(monkeypatch, step):
    """Let gradients overflow at an optimizer step, though the loss is finite."""

    def overflow(module, optimizer):
        if module.trainer.global_step == step:
            next(module.network.parameters()).grad.view(-1)[0] = float("inf")

    monkeypatch.setattr(ColorizationModule, "on_before_optimizer_step", overflow)


def test_weights_that_are_not_finite_are_never_written(data, tmp_path, monkeypatch):
    folder, bad = tmp_path / "run", 2
    with monkeypatch.context() as patched:
        infinite_at(patched, bad)
        with pytest.raises(IrodoriError, match=f"not finite after step {bad + 1}"):
            tiny.run(folder, *data.on, "callbacks.checkpoints.every_steps=1")
    assert last(folder)["global_step"] == bad
    assert all_finite(last(folder))
    assert not (folder / "checkpoints" / "best.ckpt").exists()
    tiny.resume(folder)
    assert last(folder)["global_step"] == 3
