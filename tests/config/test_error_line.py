import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from irodori.config.errors import error_line, is_user_error, quoted
from irodori.utils.errors import IrodoriError

TRAIN = """
defaults:
  - _self_
  - optimizer: adamw
  - experiment: null
alpha: 1.0
experiment_name: x
data: {train: a, val: b}
"""


@pytest.fixture
def line(tmp_path):
    """Composes with overrides that have a mistake, and returns the line."""
    for group in ("optimizer", "experiment"):
        (tmp_path / group).mkdir()
    (tmp_path / "train.yaml").write_text(TRAIN)
    (tmp_path / "optimizer/adamw.yaml").write_text("lr: 0.1\nweight_decay: 0.0\n")
    (tmp_path / "optimizer/adadelta.yaml").write_text("lr: 1.0\n")
    (tmp_path / "experiment/quick.yaml").write_text("# @package _global_\nalpha: 2.0\n")

    def composed(*overrides):
        with (
            initialize_config_dir(str(tmp_path), version_base="1.3"),
            pytest.raises((HydraException, OmegaConfBaseException, ValueError)) as error,
        ):
            compose("train", list(overrides))
        assert is_user_error(error.value)
        text = error_line(error.value)
        for noise in ("\n", "config use +", "defaults list use +", "hydra.cc", "provider"):
            assert noise not in text
        return text

    return composed


@pytest.mark.parametrize("override", ["optimizer=3", "optimizer=null"])
def test_a_group_member_that_is_no_text_is_reported_with_its_override(line, override):
    assert line(override).startswith(f"{override}: ")


def test_other_errors_are_no_mistakes_of_the_user():
    assert not is_user_error(ValueError("x"))
    assert not is_user_error(OSError(9, "no file is named"))
    assert error_line(ValueError("a\n b\n\na")) == "a b"


def test_a_file_that_the_disk_doesnt_take_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory") as caught:
        (tmp_path / "file" / "run").mkdir(parents=True)
    assert is_user_error(caught.value)
    assert error_line(caught.value).startswith(f"{tmp_path}/file/run: Not a directory; ")


@pytest.mark.parametrize(
    "value", ["{a,b}.tar", "a=b", '"a', "'a", "[a", "a(1).tar", "it's.tar", '{a}"b\\"c']
)
def test_an_override_that_hydra_cant_parse_is_shown_quoted(line, value):
    text = line(f"data.train={value}")
    assert f"data.train={value}" in text
    (argument,) = shlex.split(text.rpartition("quote its value: ")[2])
    parsed = OverridesParser.create().parse_override(argument)
    assert parsed.key_or_group == "data.train"
    assert str(parsed.value()) == value.strip("\"'")


def test_deleting_and_appending(line):
    assert "optimizer.zzz" in line("~optimizer.zzz")
    text = line("+optimizer.lr=3")
    assert "optimizer.lr" in text
    assert "++" not in text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=1000), min_size=1))
def test_quoted_text_reaches_the_configuration(value):
    (argument,) = shlex.split(quoted("data.train", value))
    assert str(OverridesParser.create().parse_override(argument).value()) == value


def test_a_value_that_cant_be_resolved_names_its_key():
    config = OmegaConf.create({"a": {"b": "${oc.env:IRODORI_NOT_SET}"}})
    with pytest.raises(OmegaConfBaseException) as error:
        OmegaConf.to_container(config, resolve=True)
    text = error_line(error.value)
    assert text.startswith("a.b: ")
    assert "IRODORI_NOT_SET" in text
    assert "\n" not in text


def test_a_mistake_that_a_resolver_finds_is_reported_as_it_is():
    def resolver():
        raise IrodoriError("runs/x holds no run")

    OmegaConf.register_new_resolver("irodori_test_fails", resolver, replace=True)
    try:
        with pytest.raises(OmegaConfBaseException) as error:
            _ = OmegaConf.create("a: ${irodori_test_fails:}").a
    finally:
        OmegaConf.clear_resolver("irodori_test_fails")
    assert error_line(error.value) == "runs/x holds no run"
