"""Resuming a run: what may differ from the configuration that it was started with."""

import os
import re
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import tiny
from irodori.config.check import check
from irodori.runs.resume import resume_config
from irodori.runs.run import Run
from irodori.training.settings import GIVEN, TrainSettings
from irodori.utils.errors import IrodoriError

CONFIG = "config.yaml"


def written(config):
    return Run(config, Path()).to_yaml()


@pytest.fixture(scope="module")
def text(data):
    """The configuration of a run."""
    return written(tiny.compose(*data.on))


@pytest.fixture
def folder(text, tmp_path):
    """A run folder with nothing but its configuration."""
    path = tmp_path / "run"
    path.mkdir()
    (path / CONFIG).write_text(text)
    return path


def resumed(folder, *overrides):
    return resume_config(tiny.compose(f'resume="{folder}"', *overrides), list(overrides))


def test_a_run_is_resumed_with_its_own_configuration(folder):
    config, changes = resumed(folder)
    assert changes == []
    assert config.resume == str(folder)
    assert written(config) == (folder / CONFIG).read_text()
    # What is set to what it was is no change.
    assert resumed(folder, "optimizer.lr=1.0", "alpha=1")[1] == []


def test_a_change_is_shown_and_refused_unless_allowed(folder):
    overrides = ["optimizer.lr=0.5", "trainer.max_epochs=4"]
    lines = ["optimizer.lr: 1.0 → 0.5", "trainer.max_epochs: 1 → 4"]
    with pytest.raises(IrodoriError) as refused:
        resumed(folder, *overrides)
    assert "; ".join(lines) in str(refused.value)
    assert "allow_changes=true" in str(refused.value)
    config, changes = resumed(folder, *overrides, "allow_changes=true")
    assert changes == lines
    assert (config.optimizer.lr, config.trainer.max_epochs) == (0.5, 4)
    stored = OmegaConf.create(written(config))
    assert (stored.resume, stored.allow_changes) == (None, False)


def test_whom_to_trust_is_no_change_to_accept(folder):
    config, changes = resumed(folder, "trust=[mine]")
    assert changes == []
    assert config.trust == ["mine"]


def test_a_group_stands_for_all_its_values(folder):
    config, changes = resumed(
        folder, "trainer=ddp", "trainer.log_every_n_steps=7", "allow_changes=true"
    )
    assert "trainer.devices: 1 → 2" in changes
    assert "trainer.log_every_n_steps: 1 → 7" in changes
    assert config.trainer == tiny.compose("trainer=ddp", "trainer.log_every_n_steps=7").trainer


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("seed=3", "seed"),
        ("data.batch_size=6", "data.batch_size"),
        ("trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches"),
        ("network.width=0.5", "network.width"),
        ("color_space=rgb", "color_space._target_"),
        ("optimizer=adamw", "optimizer._target_"),
        ("scheduler=warmup_cosine", "scheduler._target_"),
        ("objective=huber", "objective._target_"),
        ("callbacks=[default,ema]", "callbacks.ema"),
        ("callbacks=[default,ema,lr_monitor]", "callbacks.ema"),
        ("experiment=quick", "experiment=quick"),
        ("init=other.ckpt", "init"),
        ("encoder.layer_decay=0.9", "encoder.layer_decay"),
        ("trainer.limit_train_batches=2", "trainer.limit_train_batches"),
        ("data.shuffle=shards", "data.shuffle"),
        # What nobody has thought of yet.
        ("+new=1", "new"),
        ("+data.new=1", "data.new"),
        ("augmentation._target_=a.B", "augmentation._target_"),
        ("~alpha", "~alpha"),
    ],
)
def test_what_position_and_weights_depend_on_stays(folder, override, key):
    with pytest.raises(IrodoriError, match=f"^{re.escape(key)} can't be "):
        resumed(folder, override, "allow_changes=true")


@pytest.mark.parametrize(
    "override",
    [
        "alpha=0.5",
        "trainer.max_epochs=7",
        "trainer.gradient_clip_val=1",
        "optimizer.lr=0.1",
        "augmentation.age=0.5",
        "callbacks=[default,lr_monitor]",
        "callbacks.pictures=null",
        "callbacks.checkpoints.every_steps=3",
        "logger=tensorboard",
        "data.workers=3",
        "encoder.freeze_steps=2",
    ],
)
def test_what_may_change_does(folder, override):
    config, changes = resumed(folder, override, "allow_changes=true")
    assert changes
    key, _, value = override.partition("=")
    if not value.startswith(("[", "t")):
        assert OmegaConf.select(config, key) == OmegaConf.select(tiny.compose(override), key)


def test_settings_of_torchs_schedules_stay(data, tmp_path):
    # A checkpoint holds them, and it would win.
    config = tiny.compose(*data.on, "scheduler=warmup_cosine", "scheduler.warmup=0.5")
    (tmp_path / CONFIG).write_text(written(config))
    assert resumed(tmp_path, "++scheduler.warmup=0.25", "allow_changes=true")[1]
    config.scheduler = {
        "_target_": "torch.optim.lr_scheduler.StepLR",
        "_partial_": True,
        "step_size": 3,
    }
    (tmp_path / CONFIG).write_text(written(config))
    with pytest.raises(IrodoriError, match=r"^scheduler\.step_size can't be changed"):
        resumed(tmp_path, "+scheduler.step_size=4", "allow_changes=true")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"a: [\n{text}",
        lambda text: "- 1\n",
        lambda text: "3\n",
        lambda text: text.encode("utf-16").decode("latin-1"),
        lambda text: "network: {a: " * 5000,
        # Ten to the power of 20 values.
        lambda text: (
            text
            + "a0: &a0 [x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 21))
        ),
    ],
)
def test_a_damaged_configuration_is_one_line(folder, change):
    path = folder / CONFIG
    path.write_text(change(path.read_text()))
    with pytest.raises(IrodoriError, match="is damaged") as refused:
        resumed(folder)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("max_epochs: 1", "max_epochs: many", "trainer.max_epochs"),
        ("torch.optim.Adadelta", "os.system", "optimizer._target_"),
        ("seed: 0", "seed: ${oc.env:HOME}", "seed"),
    ],
)
def test_a_stored_value_that_does_not_fit_is_one_line(folder, before, after, key):
    path = folder / CONFIG
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(IrodoriError, match=re.escape(key)) as refused:
        check(resumed(folder)[0], TrainSettings, GIVEN)
    assert "\n" not in str(refused.value)


def test_a_folder_without_a_run_is_one_line(tmp_path):
    for name in ("never there", CONFIG):
        with pytest.raises(IrodoriError, match="not a run folder"):
            resume_config(OmegaConf.create({"resume": str(tmp_path / name)}), [])
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_be_named_in_any_way(folder, monkeypatch):
    config = OmegaConf.create({"resume": "", "allow_changes": False, "trust": []})
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    for name in ("run", "run/", "./run", "../" + folder.parent.name + "/run", "~/run"):
        config.resume = name
        assert resume_config(config, [])[0].resume == str(folder)
    spaced = folder.rename(folder.with_name("a run, with = and spaces"))
    config.resume = spaced.name
    assert resume_config(config, [])[0].resume == str(spaced)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of one epoch, which is three steps."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    tiny.run(folder, *data.on)
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """A copy that may be changed."""
    folder = tmp_path / "run"
    for path in finished.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(finished)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, copy)
    return folder


def contents(folder: Path):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights(folder):
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return stored["global_step"], stored["state_dict"]


@pytest.mark.slow
def test_changed_settings_of_the_optimizer_hold(copied):
    step, before = weights(copied)
    former = (copied / CONFIG).read_text()
    tiny.resume(copied, "optimizer.lr=0", "trainer.max_epochs=2", "allow_changes=true")
    later, after = weights(copied)
    assert (step, later) == (3, 6)
    parameters = [name for name in before if name.endswith(("weight", "bias"))]
    assert parameters
    assert all(torch.equal(before[name], after[name]) for name in parameters)
    # config.yaml says how the run went on, and the one before how it began.
    assert OmegaConf.load(copied / CONFIG).optimizer.lr == 0
    assert (copied / "config-until-step-3.yaml").read_text() == former


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "overrides", "message"),
    [
        (lambda path: path.write_bytes(b"no checkpoint"), [], "last.ckpt can't be read: "),
        (lambda path: os.truncate(path, 100_000), [], "last.ckpt can't be read: "),
        (None, ["trainer.max_steps=2"], "trainer.max_steps=2: 3 are already done"),
        (None, ["trainer.max_epochs=2", "OTHER"], "doesn't hold the samples"),
    ],
)
def test_what_does_not_fit_leaves_the_run_as_it_was(copied, data, damage, overrides, message):
    checkpoint = copied / "checkpoints" / "last.ckpt"
    if damage is not None:
        own = checkpoint.read_bytes()
        checkpoint.unlink()
        checkpoint.write_bytes(own)
        damage(checkpoint)
        (copied / "metrics.json").unlink()
    changes = [f'data.train="{data.val}"' if text == "OTHER" else text for text in overrides]
    if "OTHER" in overrides:
        changes.append(f'data.val="{data.train}"')
    before = contents(copied)
    with pytest.raises(IrodoriError, match=message):
        tiny.resume(copied, *changes, *(["allow_changes=true"] if changes else []))
    assert contents(copied) == before


@pytest.mark.slow
def test_a_finished_run_says_so(copied, capsys):
    before = contents(copied)
    tiny.resume(copied)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("this run is already finished: ")
    assert lines[-1] == f"run: {copied}"
    assert contents(copied) == before
