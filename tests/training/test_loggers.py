import pytest
import wandb

from irodori.config import LoggerConfig, WandbConfig
from irodori.errors import IrodoriError
from irodori.training.loggers import make_loggers, wandb_mode
from irodori.training.metrics_csv import MetricsCSV


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
        ("auto", {}, "machine example.org\n login a\n password b\n", ("offline", "no key found")),
        ("auto", {}, "this is no netrc file", ("offline", "no key found")),
        ("auto", {"WANDB_BASE_URL": "https://wandb.example.org/"}, NETRC, ("offline", None)),
        (
            "auto",
            {"WANDB_BASE_URL": "https://wandb.example.org/"},
            NETRC.replace("api.wandb.ai", "wandb.example.org"),
            ("online", "key found"),
        ),
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


def make(config, folder):
    return make_loggers(config, folder, {}, "name", 1)


def test_csv_alone_says_nothing_of_wandb(tmp_path, capsys):
    (logger,) = make(LoggerConfig("csv"), tmp_path)
    assert isinstance(logger, MetricsCSV)
    assert capsys.readouterr().out == ""


def test_disabled_is_said_in_one_line(tmp_path, capsys):
    (logger,) = make(WandbConfig(mode="disabled"), tmp_path)
    assert isinstance(logger, MetricsCSV)
    assert capsys.readouterr().out == "W&B: disabled (logger.mode)\n"


@pytest.mark.parametrize("config", [LoggerConfig("tensorboard"), WandbConfig(name="csv")])
def test_a_name_that_is_not_the_options_is_never_another_logger(tmp_path, config, monkeypatch):
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("a W&B run was made"))
    if config.name == "csv":
        assert len(make(config, tmp_path)) == 1
        return
    with pytest.raises(IrodoriError, match=r"logger\.name=tensorboard .* logger=csv"):
        make(config, tmp_path)


def test_what_wandb_refuses_is_one_line(tmp_path, monkeypatch):
    def refuse(**_):
        raise wandb.errors.UsageError("API key must have 40 characters")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(IrodoriError, match=r"^W&B: API key .* logger.mode=offline$"):
        make(WandbConfig(mode="online"), tmp_path)
