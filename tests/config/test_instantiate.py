import functools
import sys
from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from irodori.config.instantiate import instantiate
from irodori.utils.errors import IrodoriError

PARTS = """
class Part:
    def __init__(self, **arguments):
        self.arguments = arguments


class Picky:
    def __init__(self, size=1, error=None):
        if error == "key":
            raise KeyError(size)
        if size > 3:
            raise ValueError(f"size={size} is too much")
"""


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    (tmp_path / "instantiated_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("instantiated_parts", None)


config = OmegaConf.create


@dataclass
class Plan:
    steps: int = 3


def test_lists_and_dicts_reach_a_target_as_such():
    node = config("{_target_: instantiated_parts.Part, a: [1, {b: 2}], c: {d: 3}}")
    made = instantiate(node)
    assert [type(value) for value in made.arguments.values()] == [list, dict]
    assert made.arguments == {"a": [1, {"b": 2}], "c": {"d": 3}}


def test_further_arguments_are_passed_as_they_are():
    plan, given = Plan(), {"x": 1}
    made = instantiate(config("{_target_: instantiated_parts.Part, a: 1}"), plan=plan, given=given)
    assert made.arguments["plan"] is plan
    assert made.arguments["given"] is given
    assert made.arguments["a"] == 1
    node = config("{_target_: instantiated_parts.Part, a: 1, _partial_: true}")
    half = instantiate(node, plan=plan)
    assert isinstance(half, functools.partial)
    assert half(b=2).arguments == {"a": 1, "plan": plan, "b": 2}


def test_nothing_is_nothing():
    assert instantiate(None) is None
    assert instantiate(config("{a: null}")) == {"a": None}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [("size: 4", "size=4 is too much"), ("error: key", "KeyError"), ("sise: 3", "sise")],
)
def test_a_refusal_names_node_and_reason(arguments, named):
    whole = config(f"a: {{b: {{_target_: instantiated_parts.Picky, {arguments}}}}}")
    with pytest.raises(IrodoriError) as error:
        instantiate(whole.a.b)
    line = str(error.value)
    assert line.startswith("a.b: ")
    assert named in line
    assert "\n" not in line
    assert error.value.__cause__ is not None


def test_a_nested_node_that_fails_is_the_one_named():
    whole = config(
        "a: {_target_: instantiated_parts.Part, b: {_target_: instantiated_parts.Picky, size: 9}}"
    )
    with pytest.raises(IrodoriError, match=r"^a\.b: size=9"):
        instantiate(whole.a)
