"""When checkpoints are written, and that one that can't be written costs nothing but itself."""

import csv
import sys

import pytest
import torch

import tiny
from irodori.config import PROJECT
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.callbacks.pictures import Pictures
from irodori.training.checkpoint_files import AtomicCheckpointIO
from irodori.training.module import ColorizationModule
from irodori.utils.errors import IrodoriError

sys.path.insert(0, str(PROJECT / "experiments" / "streaming"))
from same_run import logged

pytestmark = pytest.mark.slow

MINUTE = 60.0


class Clock:
    """A minute passes in every training step."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        self.monkeypatch = monkeypatch
        self.slow(ColorizationModule, "training_step", MINUTE)
        original = Checkpoints.__init__

        def with_clock(*args, **kwargs):
            original(*args, **kwargs, clock=lambda: self.now)

        monkeypatch.setattr(Checkpoints, "__init__", with_clock)

    def slow(self, owner, name, seconds):
        """Let so much time pass in every call of a method."""
        original = getattr(owner, name)

        def slow_one(*args, **kwargs):
            self.now += seconds
            return original(*args, **kwargs)

        self.monkeypatch.setattr(owner, name, slow_one)


def seconds_of(folder):
    """`train/seconds` by the epoch of the validation that it stands at."""
    with (folder / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/seconds"]]
    assert all(row["val/chroma_rmse"] for row in rows)
    return {int(row["epoch"]): float(row["train/seconds"]) for row in rows}


@pytest.fixture
def saved(monkeypatch):
    """Names and steps of checkpoints, as they are written."""
    calls = []
    save = AtomicCheckpointIO.save_checkpoint

    def note(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        calls.append((path.name, checkpoint["global_step"], self.error is None))

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", note)
    return calls


def test_every_so_many_steps_and_minutes(data, tmp_path, monkeypatch, saved):
    Clock(monkeypatch)
    # Six steps an epoch.
    overrides = ["data.batch_size=2", "data.val_batch_size=4", "trainer.max_epochs=2"]
    limits = ["callbacks.checkpoints.every_steps=5", "callbacks.checkpoints.every_minutes=3"]
    result = tiny.run(tmp_path / "run", *data.on, *overrides, *limits)
    # Before a validation, and when an epoch's metrics are logged, too.
    expected = [3, 6, 6, 9, 12, 12]
    assert [step for name, step, _ in saved if name == "last.ckpt"] == expected
    assert result["training"]["seconds"] == 12 * MINUTE
    assert result["training"]["steps"] == 12


def test_a_resumed_run_counts_all_seconds_and_misses_the_best_checkpoint(
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


def slow_validations(clock):
    """A second for each batch, a minute for each sheet of pictures, and one for each checkpoint."""
    clock.slow(ColorizationModule, "validation_step", 1.0)
    clock.slow(Pictures, "write", MINUTE)
    clock.slow(AtomicCheckpointIO, "save_checkpoint", MINUTE)


def test_seconds_are_those_of_the_steps_though_a_run_was_interrupted(data, tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    slow_validations(clock)
    validate, calls = ColorizationModule.validation_step, []

    def killed(*args, **kwargs):
        calls.append(args)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return validate(*args, **kwargs)

    monkeypatch.setattr(ColorizationModule, "validation_step", killed)
    limits = ["trainer.max_epochs=3", "callbacks.checkpoints.every_steps=null"]
    with pytest.raises(IrodoriError, match="interrupted"):
        tiny.run(tmp_path / "run", *data.on, *limits)
    clock.now += 1000 * MINUTE
    result = tiny.resume(tmp_path / "run")
    # Three steps an epoch, and last.ckpt is written at its end.
    assert seconds_of(tmp_path / "run") == {0: 3 * MINUTE, 1: 7 * MINUTE, 2: 11 * MINUTE}
    # With four batches and a sheet of each validation, two times last.ckpt, and best.ckpt.
    assert result["training"]["seconds"] >= 12 * MINUTE + 3 * (4 + MINUTE) + 3 * MINUTE


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    data, tmp_path, monkeypatch, saved, capsys
):
    folder = tmp_path / "run"
    block = ColorizationModule.training_step

    def blocked(module, batch, number):
        # A file where the folder was: for root no permission would do.
        if module.trainer.global_step == 1:
            (folder / "checkpoints").rename(folder / "aside")
            (folder / "checkpoints").write_text("")
        return block(module, batch, number)

    monkeypatch.setattr(ColorizationModule, "training_step", blocked)
    with pytest.raises(IrodoriError, match="the final checkpoint can't be written to ") as stopped:
        tiny.run(folder, *data.on, "callbacks.checkpoints.every_steps=1")
    assert f"resume with: irodori train resume={folder}" in str(stopped.value)
    assert [written for _, _, written in saved] == [True] + [False] * (len(saved) - 1)
    out = capsys.readouterr().out
    assert "last.ckpt can't be written: " in out
    assert "the best checkpoint so far (" in out
    (folder / "checkpoints").unlink()
    (folder / "aside").rename(folder / "checkpoints")
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 1
    monkeypatch.undo()
    tiny.resume(folder)
    tiny.run(tmp_path / "whole", *data.on, "callbacks.checkpoints.every_steps=1")
    assert logged(folder) == logged(tmp_path / "whole")
    best = [run / "pictures" / "best.png" for run in (folder, tmp_path / "whole")]
    assert best[0].read_bytes() == best[1].read_bytes()


def test_lightnings_own_checkpoints_are_not_lost_in_silence(tmp_path, capsys):
    """`ModelCheckpoint` writes one, asks nobody whether it is there, and removes another."""
    files = AtomicCheckpointIO()
    files.save_checkpoint({"step": 1}, tmp_path / "one.ckpt")
    (tmp_path / "full").write_text("a file, where no folder can be made")
    files.save_checkpoint({"step": 2}, tmp_path / "full" / "two.ckpt")
    files.remove_checkpoint(tmp_path / "one.ckpt")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'full' / 'two.ckpt'} can't be written: ")
    assert torch.load(tmp_path / "one.ckpt", weights_only=True) == {"step": 1}
    files.save_checkpoint({"step": 3}, tmp_path / "three.ckpt")
    files.remove_checkpoint(tmp_path / "one.ckpt")
    assert not (tmp_path / "one.ckpt").exists()
