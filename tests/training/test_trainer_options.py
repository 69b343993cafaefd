"""Options of Lightning's Trainer and callbacks of others, in whole runs."""

import kornia
import pytest
import torch
from lightning import Callback

import tiny
from irodori.training import launch
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.module import ColorizationModule
from irodori.training.settings import MONITOR
from irodori.utils.errors import IrodoriError


def test_colors_are_kornias(data, tmp_path, monkeypatch):
    class CalledError(Exception):
        pass

    def refuse(*args):
        raise CalledError

    made = tiny.parts(tmp_path, *data.on)
    monkeypatch.setattr(kornia.color, "rgb_to_lab", refuse)
    with pytest.raises(CalledError):
        made.trainer.fit(made.module, made.data)


def test_a_strategy_may_have_arguments(data, tmp_path):
    node = "{_target_:lightning.pytorch.strategies.DDPStrategy,process_group_backend:gloo}"
    made = tiny.parts(tmp_path, *data.on, f"trainer.strategy={node}")
    assert made.trainer.strategy.process_group_backend == "gloo"


class Steps(Callback):
    """Counts micro-batches and validations."""

    batches = validations = 0

    def on_train_batch_end(self, *args):
        self.batches += 1

    def on_validation_epoch_start(self, *args):
        self.validations += 1


@pytest.fixture
def steps(monkeypatch):
    counted, build = Steps(), launch.build_callbacks
    monkeypatch.setattr(launch, "build_callbacks", lambda *args: [*build(*args), counted])
    return counted


QUICK = ["callbacks.pictures=null", "trainer.max_epochs=2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "batches"),
    [
        pytest.param("trainer.limit_train_batches=2", 4, marks=pytest.mark.long),
        ("trainer.fast_dev_run=true", 1),
        pytest.param("trainer.profiler=simple", 6, marks=pytest.mark.long),
        pytest.param("trainer.overfit_batches=1", 2, marks=pytest.mark.long),
        ("trainer.val_check_interval=1", 6),
    ],
)
def test_any_option_of_the_trainer_can_be_set(data, tmp_path, steps, option, batches):
    result = tiny.run(tmp_path / "run", *data.on, *QUICK, option)
    assert steps.batches == batches == result["training"]["steps"]
    assert 0 < result["rows"]["last"]["chroma_rmse"] < 100


@pytest.mark.slow
def test_a_run_may_end_by_time_alone(data, tmp_path):
    until = ["trainer.max_epochs=-1", "trainer.max_time='00:00:00:02'", "callbacks.pictures=null"]
    assert tiny.run(tmp_path / "run", *data.on, *until)["training"]["steps"] > 0
    with pytest.raises(IrodoriError, match=r"scheduler .* trainer\.max_time"):
        tiny.run(tmp_path / "none", *data.on, *until, "scheduler=warmup_cosine")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_averages_of_weights_may_be_named_before_other_callbacks(data, tmp_path):
    pictures = []
    for order in ("default,ema", "ema,default"):
        folder = tmp_path / order
        settings = [f"callbacks=[{order}]", "callbacks.ema.decay=0.8", "optimizer.lr=1"]
        tiny.run(folder, *data.on, *settings)
        pictures.append((folder / "pictures/epoch-0001.png").read_bytes())
        stored = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
        name = "network.fusion.mix.weight"
        assert not torch.equal(stored["state_dict"][name], stored["current_model_state"][name])
    assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_what_limits_leave_out_is_counted_nowhere(data, tmp_path):
    limits = ["trainer.limit_train_batches=1", "trainer.limit_val_batches=2"]
    run = tmp_path / "run"
    result = tiny.run(run, *data.on, *limits, "trainer.max_epochs=3", "callbacks.pictures=null")
    assert result["protocol"]["samples"] == 4
    # Three epochs of one batch are done, which would be one epoch without the limit.
    with pytest.raises(IrodoriError, match=r"trainer\.max_epochs=2: 3 are already done"):
        tiny.resume(run, "trainer.max_epochs=2", "allow_changes=true")


@pytest.mark.slow
def test_without_validation_there_are_no_metrics_and_no_best(data, tmp_path, capsys):
    result = tiny.run(tmp_path / "run", *data.on, "trainer.limit_val_batches=0")
    assert (result["rows"], result["metrics"], result["training"]["steps"]) == ({}, {}, 3)
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["last.ckpt"]
    nothing, run = capsys.readouterr().out.splitlines()[-2:]
    assert nothing.startswith("no validation (trainer.limit_val_batches=0)")
    assert run == f"run: {tmp_path / 'run'}"


@pytest.mark.slow
def test_callbacks_of_lightning_are_added_by_name(data, tmp_path):
    callbacks = "callbacks=[default,lr_monitor,early_stopping,top_k]"
    settings = ["trainer.max_epochs=4", "callbacks.early_stopping.patience=20"]
    schedule = ["optimizer=adamw", "scheduler=warmup_cosine", "callbacks.pictures=null"]
    folder = tmp_path / "run"
    result = tiny.run(folder, *data.on, *settings, *schedule, callbacks)
    assert result["training"]["epochs"] == 4
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.ckpt")}
    assert {"checkpoints/last.ckpt", "checkpoints/best.ckpt"} < names
    assert len(names) == 5
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert "lr-AdamW" in header
    # An epoch that is cut short has no validation to look at.
    tiny.run(tmp_path / "short", *data.on, "trainer.max_steps=1", *schedule, callbacks)


@pytest.mark.long
def test_a_run_stops_early(data, tmp_path):
    still = ["optimizer.lr=0", "trainer.max_epochs=9", "callbacks.early_stopping.patience=1"]
    on = [*data.on, "callbacks=[default,early_stopping]", *still, "callbacks.pictures=null"]
    assert tiny.run(tmp_path / "run", *on)["training"]["epochs"] < 5


@pytest.mark.slow
def test_a_score_that_is_not_a_number_is_not_the_best(data, tmp_path, monkeypatch):
    original, calls = ColorizationModule.on_validation_epoch_end, []

    def first_is_nan(module):
        original(module)
        calls.append(module)
        if len(calls) == 1:
            module.log(MONITOR, torch.tensor(float("nan")))

    best, write = [], Checkpoints._write

    def note(self, trainer, path):
        if path.name == "best.ckpt":
            best.append(trainer.global_step)
        return write(self, trainer, path)

    monkeypatch.setattr(Checkpoints, "_write", note)
    monkeypatch.setattr(ColorizationModule, "on_validation_epoch_end", first_is_nan)
    settings = ["trainer.max_epochs=2", "callbacks.pictures=null"]
    tiny.run(tmp_path / "run", *data.on, *settings)
    assert best == [6]
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()
