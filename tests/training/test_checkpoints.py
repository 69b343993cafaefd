"""When checkpoints are written, and that one that can't be written costs nothing but itself."""

from functools import partial

import pytest
import torch

import tiny
from irodori.errors import IrodoriError
from irodori.training import building
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.module import Colorization

pytestmark = pytest.mark.slow

MINUTE = 60.0


class Clock:
    """A minute passes in every training step."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        step = Colorization.training_step

        def slow_step(*args):
            self.now += MINUTE
            return step(*args)

        monkeypatch.setattr(Colorization, "training_step", slow_step)
        monkeypatch.setattr(building, "Checkpoints", partial(Checkpoints, clock=lambda: self.now))


@pytest.fixture
def saved(monkeypatch):
    """Names and steps of checkpoints, as they are written."""
    calls = []
    save = WholeFiles.save_checkpoint

    def note(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        calls.append((path.name, checkpoint["global_step"], self.error is None))

    monkeypatch.setattr(WholeFiles, "save_checkpoint", note)
    return calls


@pytest.mark.parametrize(
    ("steps", "minutes", "within"),
    [
        ("4", "null", [[4], [10]]),
        ("null", "2", [[2, 4], [8, 10]]),
        ("5", "3", [[3], [9]]),
    ],
)
def test_every_so_many_steps_and_minutes(
    data, tmp_path, monkeypatch, saved, steps, minutes, within
):
    Clock(monkeypatch)
    # Six steps an epoch.
    overrides = ["data.batch_size=2", "data.val_batch_size=4", "trainer.max_epochs=2"]
    limits = [f"trainer.checkpoint_steps={steps}", f"trainer.checkpoint_minutes={minutes}"]
    result = tiny.run(tmp_path / "run", *data.on, *overrides, *limits)
    # Before a validation, and when an epoch's figures are logged, too.
    expected = [*within[0], 6, 6, *within[1], 12, 12]
    assert [step for name, step, _ in saved if name == "last.ckpt"] == expected
    assert result["training"]["seconds"] == 12 * MINUTE
    assert result["training"]["steps"] == 12


def test_going_on_counts_all_seconds_and_misses_the_best_checkpoint(
    data, tmp_path, monkeypatch, capsys
):
    Clock(monkeypatch)
    folder = tmp_path / "run"
    tiny.run(folder, *data.on)
    best = folder / "checkpoints" / "best.ckpt"
    best.unlink()
    result = tiny.resume(folder, "trainer.max_epochs=2", "allow_changes=true")
    assert result["training"]["seconds"] == 6 * MINUTE
    assert f"{best} is missing" in capsys.readouterr().out
    assert torch.load(best, weights_only=True)["global_step"] == 6


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    data, tmp_path, monkeypatch, saved, capsys
):
    folder = tmp_path / "run"
    block = Colorization.training_step

    def blocked(module, batch, number):
        # A file where the folder was: for root no permission would do.
        if module.trainer.global_step == 1:
            (folder / "checkpoints").rename(folder / "aside")
            (folder / "checkpoints").write_text("")
        return block(module, batch, number)

    monkeypatch.setattr(Colorization, "training_step", blocked)
    with pytest.raises(IrodoriError, match="the end of training can't be written to ") as stopped:
        tiny.run(folder, *data.on, "trainer.checkpoint_steps=1")
    assert f"go on with: python train.py resume={folder}" in str(stopped.value)
    assert [written for _, _, written in saved] == [True] + [False] * (len(saved) - 1)
    out = capsys.readouterr().out
    assert "last.ckpt can't be written: " in out
    assert "the best so far (" in out
    (folder / "checkpoints").unlink()
    (folder / "aside").rename(folder / "checkpoints")
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 1
    monkeypatch.undo()
    tiny.resume(folder)
    tiny.run(tmp_path / "whole", *data.on, "trainer.checkpoint_steps=1")
    for name in ("metrics.csv", "pictures/best.png"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
