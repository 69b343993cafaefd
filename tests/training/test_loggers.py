import errno
import importlib.util
import itertools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tiny
from irodori.config import PROJECT
from irodori.runs.run import Run
from irodori.training.loggers import MetricsCSV, make_loggers
from irodori.training.loggers.tensorboard import TensorBoard, purge_point
from irodori.training.loggers.wandb_run import WandbSteps, setting, wandb_mode
from irodori.utils.errors import IrodoriError


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch, tmp_path):
    """No key and no mode, whatever the machine has."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


NETRC = "machine api.wandb.ai\n  login user\n  password 0123456789\n"


@pytest.mark.parametrize(
    ("setting", "variables", "netrc", "expected"),
    [
        ("auto", {}, None, ("offline", "no key found")),
        ("auto", {"WANDB_API_KEY": "k"}, None, ("online", "key found")),
        ("auto", {}, NETRC, ("online", "key found")),
        ("auto", {}, "this is no netrc file", ("offline", "no key found")),
        ("auto", {"WANDB_BASE_URL": "https://wandb.example.org/"}, NETRC, ("offline", None)),
        ("auto", {"WANDB_MODE": "disabled", "WANDB_API_KEY": "k"}, NETRC, ("disabled", None)),
        ("auto", {"WANDB_MODE": "online"}, None, ("online", "WANDB_MODE")),
        ("auto", {"WANDB_MODE": ""}, None, ("offline", "no key found")),
        ("offline", {"WANDB_MODE": "online"}, NETRC, ("offline", "logger.mode")),
        ("online", {"WANDB_MODE": "disabled"}, None, ("online", "logger.mode")),
        ("disabled", {"WANDB_API_KEY": "k"}, NETRC, ("disabled", "logger.mode")),
    ],
)
def test_setting_then_variable_then_key_then_offline(
    monkeypatch, tmp_path, setting, variables, netrc, expected
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if netrc is not None:
        (tmp_path / ".netrc").write_text(netrc)
    mode, reason = wandb_mode(setting)
    assert mode == expected[0]
    assert reason == (expected[1] or reason)


def test_the_netrc_file_may_lie_elsewhere(monkeypatch, tmp_path):
    (tmp_path / "keys").write_text(NETRC)
    monkeypatch.setenv("NETRC", str(tmp_path / "keys"))
    assert wandb_mode("auto")[0] == "online"


@pytest.mark.parametrize(
    ("setting", "variable", "message"),
    [("on", None, "^logger.mode=on is unknown"), ("auto", "off", "^WANDB_MODE=off is unknown")],
)
def test_an_unknown_mode_is_refused_with_its_source(monkeypatch, setting, variable, message):
    if variable:
        monkeypatch.setenv("WANDB_MODE", variable)
    with pytest.raises(IrodoriError, match=message):
        wandb_mode(setting)


def make(folder, *overrides):
    return make_loggers(Run(tiny.config("experiment_name=quick", *overrides), folder, overrides))


def test_csv_alone_says_nothing_of_wandb(tmp_path, capsys):
    (logger,) = make(tmp_path, "logger=csv")
    assert isinstance(logger, MetricsCSV)
    assert capsys.readouterr().out == ""


def test_disabled_is_said_in_one_line(tmp_path, capsys):
    (logger,) = make(tmp_path, "logger=wandb", "logger.mode=disabled")
    assert isinstance(logger, MetricsCSV)
    assert capsys.readouterr().out == "W&B: disabled (logger.mode)\n"


def test_a_logger_of_lightning_gets_the_settings(tmp_path):
    node = "{_target_: lightning.pytorch.loggers.CSVLogger, save_dir: " + f"{tmp_path}" + "}"
    _, logger = make(tmp_path, "logger=csv", f"++logger={node}")
    assert isinstance(logger, CSVLogger)
    assert logger.experiment.hparams["experiment_name"] == "quick"


def test_what_wandb_refuses_is_one_line(tmp_path, monkeypatch):
    def refuse(**_):
        raise wandb.errors.UsageError("API key must have 40 characters")

    monkeypatch.setattr(wandb, "init", refuse)
    _, logger = make(tmp_path, "logger=wandb", "logger.mode=online")
    with pytest.raises(IrodoriError, match=r"^W&B: API key .* logger.mode=offline$"):
        logger.log_metrics({"train/loss_step": 1.0}, 0)


SWEPT = ["experiment=lab_alpha1", "color_space=yuv", "data.train=a.tar"]


def test_a_row_of_learning_rates_has_no_epoch():
    logged = []
    logger = object.__new__(WandbSteps)
    logger._experiment = SimpleNamespace(log=lambda row, step: logged.append((row, step)))
    logger._log_again({"step": "3", "lr-AdamW": "0.5"})
    assert logged == [({"lr-AdamW": 0.5}, 3)]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "lab_alpha1"),
        (SWEPT, "lab_alpha1 color_space=yuv data.train=a.tar"),
        ([*SWEPT, "seed=1", "data.fold=2"], "lab_alpha1 color_space=yuv data.train=a.tar"),
        ([*SWEPT[::-1], "++seed=3"], "lab_alpha1 color_space=yuv data.train=a.tar"),
        (["logger=wandb", "logger.mode=offline", "alpha=0"], "lab_alpha1 alpha=0"),
        (["resume=runs/a", "allow_changes=true", "experiment_name=x"], "lab_alpha1"),
        (["data.folds=1", "seeds=2"], "lab_alpha1 data.folds=1 seeds=2"),
    ],
)
def test_seeds_and_folds_of_a_setting_share_it(overrides, expected):
    assert setting("lab_alpha1", overrides) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(0, "train/loss_step"), (1, "train/loss_step")], (1, [1])),
        # A validation has been done, and the checkpoint is of the time after it, or later.
        ([(0, "train/loss_step"), (0, "val/chroma_rmse"), (0, "train/loss_epoch")], (1, [])),
        ([(4, "val/chroma_rmse"), (49, "train/loss_step")], (49, [1])),
    ],
)
def test_from_where_on_tensorboard_forgets(steps, expected):
    rows = [{name: "0.5", "epoch": "0", "step": str(step)} for step, name in steps]
    assert purge_point(rows) == (expected[0], [rows[number] for number in expected[1]])


def scalars(folder):
    """What TensorBoard shows: for each name its steps and values, of all of a folder's files."""
    shown = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0})
    shown.Reload()
    return {
        name: [(event.step, event.value) for event in shown.Scalars(name)]
        for name in shown.Tags()["scalars"]
    }


ROWS = st.lists(st.sampled_from(["train", "validate"]), max_size=12)


@settings(max_examples=20, deadline=None)
@given(kinds=ROWS, cut=st.integers(0, 24), again=st.integers(0, 24), every=st.integers(1, 3))
def test_tensorboard_shows_what_metrics_csv_holds_wherever_a_run_was_killed(
    kinds, cut, again, every
):
    # Each step is trained, and validated after some: rows as Lightning logs them.
    rows = []
    for step, kind in enumerate(kinds):
        if step % every == 0:
            rows.append({"train/loss": step / 8, "step": step})
        if kind == "validate":
            # The validation, and the means of the epoch, are not parted by a checkpoint.
            rows.append({"val/rmse": step / 4, "step": step, "last": False})
            rows.append({"train/mean": step / 2, "step": step})
    until = min(cut, len(rows))
    kept = min(again, until)
    while kept and rows[kept - 1].pop("last", None) is False:
        kept -= 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for begin, end in ((0, until), (kept, len(rows))):
            before = [
                {name: str(value) for name, value in row.items() if name != "last"}
                for row in rows[:begin]
            ]
            logger = TensorBoard(folder, {}, before)
            for row in rows[begin:end]:
                metrics = {name: x for name, x in row.items() if name not in ("step", "last")}
                logger.log_metrics(metrics, row["step"])
        expected = {}
        for row in rows:
            for name in set(row) - {"step", "last"}:
                expected.setdefault(name, []).append((row["step"], row[name]))
        assert scalars(folder) == expected


def test_a_run_that_logged_elsewhere_is_shown_from_its_start(tmp_path):
    rows = [{"loss": str(step), "step": str(step)} for step in range(3)]
    TensorBoard(tmp_path, {}, rows)
    assert scalars(tmp_path) == {"loss": [(step, step) for step in range(3)]}


def test_a_full_disk_ends_tensorboard_and_not_the_run(tmp_path, capsys, monkeypatch):
    logger = TensorBoard(tmp_path, {}, [])
    logger.log_metrics({"loss": 1.0}, 0)
    capsys.readouterr()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logger.experiment, "add_scalar", full)
    logger.log_metrics({"loss": 1.0}, 1)
    logger.log_metrics({"loss": 1.0}, 2)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'tensorboard'} can't be written: ")
    assert "No space left" in line
    monkeypatch.undo()
    assert scalars(tmp_path) == {"loss": [(0, 1.0)]}


def test_a_missing_package_is_one_line(monkeypatch, tmp_path):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "irodori.training.loggers.tensorboard.find_spec",
        lambda name: None if name == "tensorboard" else found(name),
    )
    with pytest.raises(IrodoriError, match=r"pip install 'irodori\[tensorboard\]'"):
        make(tmp_path, "logger=tensorboard")


def agent_commands():
    """What agents of the sweep run, made by W&B's own code: a list of words a run."""
    from wandb.sdk.launch.sweeps import utils as sweep_utils  # takes seconds

    sweep = yaml.safe_load((PROJECT / "conf" / "wandb_sweep.yaml").read_text())
    assert sweep["method"] == "grid"
    names = list(sweep["parameters"])
    for choice in itertools.product(*(sweep["parameters"][name]["values"] for name in names)):
        args = {name: {"value": value} for name, value in zip(names, choice, strict=True)}
        words = sweep_utils.create_sweep_command_args({"args": args})
        words |= {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [sweep["program"]]}
        command = [
            replaced
            for word in sweep_utils.create_sweep_command(sweep["command"])
            for replaced in (words[word[2:-1]] if word.startswith("${") else [word])
        ]
        yield dict(zip(names, choice, strict=True)), command


@pytest.mark.long
def test_what_agents_of_the_wandb_sweep_run_composes():
    commands = list(agent_commands())
    assert len(commands) == 9
    for chosen, command in (commands[0], commands[-1]):
        assert command[:4] == ["/usr/bin/env", "python", "train.py", "experiment=lab_alpha1"]
        config = tiny.config(*command[3:])
        assert config.experiment_name == "lab_alpha1"
        space = tiny.compose(f"color_space={chosen['color_space']}").color_space
        assert (config.color_space, config.seed) == (space, chosen["seed"])
    assert (PROJECT / "train.py").is_file()
