import contextlib
import copy
import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from irodori.config.check import check
from irodori.config.ranges import Range
from irodori.utils.errors import IrodoriError

NODE = {"_target_": "collections.OrderedDict"}


def refused(config, *named, **options):
    with pytest.raises(IrodoriError) as error:
        check(config, **options)
    line = str(error.value)
    assert "\n" not in line
    for name in named:
        assert name in line, line


@pytest.fixture
def everything(shapes):
    """Makes a configuration with a node `part` of the class Everything."""
    return lambda **arguments: {
        "part": {"_target_": f"{shapes}.Everything", "count": 1, **arguments}
    }


def test_what_an_annotation_means_is_accepted(everything):
    check(everything(rate=1, text=None, pair=[1, 0.5], sides=[1, 2], shares=[0, 0.5], mode="slow"))
    check(everything(text="x", path="/tmp", net=NODE, anything=[1, {"x": None}], unknown=3))
    check(everything(bare="x", either=3, function={**NODE, "_partial_": True}, implicit=None))
    check(everything(either=[3], count=NODE, weights={"a": 1, "b": 0.5}))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"count": "many"}, "part.count=many: must be an integer"), ({"count": True}, "part.count"),
        ({"count": None}, "part.count"), ({"rate": False}, "part.rate"), ({"rate": 0}, "above 0"),
        ({"rate": math.nan}, "above 0"), ({"flag": 1}, "true or false"),
        ({"text": 7}, "'part.text=\"7\"'"), ({"pair": [1]}, "part.pair=[1]"),
        ({"pair": [1, "x"]}, "part.pair"), ({"sides": [1, 2.5]}, "part.sides"),
        ({"sides": "1"}, "part.sides"), ({"shares": [0.5, 1.5]}, "at most 1"),
        ({"mode": "c"}, "one of fast, slow"), ({"path": 3}, "part.path"),
        ({"net": "resnet"}, "part.net"), ({"either": [3, "x"]}, "part.either"),
        ({"nets": "x"}, "part.nets"), ({"weights": {"a": None}}, "part.weights"),
        ({"weights": {"a": "often"}}, "part.weights"), ({"function": "f"}, "part.function"),
        ({"implicit": "x"}, "part.implicit"),
        ({"cuont": 1}, "did you mean count?"), ({"nothing_like_it": 1}, "part.nothing_like_it"),
        ({"rate": "???"}, "part.rate has no value: give part.rate=…"),
        ({"_target_": 3}, "part._target_=3"), ({"_target_": "???"}, "part._target_ has no value"),
        ({"_target_": "Everything"}, "part._target_=Everything"),
        ({"_target_": "collections.OrderedDic"}, "did you mean OrderedDict?"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_node_and_key(everything, arguments, named):
    refused(everything(**arguments), named)


def test_a_missing_argument_is_reported_but_for_partial_nodes(shapes):
    node = {"_target_": f"{shapes}.MoreOptions", "size": 3}
    refused({"part": node}, "part.last has no value")
    check({"part": {**node, "_partial_": True}})
    refused({"part": {**node, "_partial_": True, "siez": 1}}, "did you mean size?")


def test_arguments_that_the_program_gives_need_no_value(shapes):
    node = {"_target_": f"{shapes}.MoreOptions", "size": "auto"}
    given = {"part": {"last": Any, "size": str}}
    check({"part": node}, given=given)
    check({"part": {**node, "last": "???"}}, given=given)
    refused({"part": {**node, "size": 0}}, "at least 1", given=given)


def test_nodes_are_found_at_any_depth(everything):
    node = everything(count="x")["part"]
    refused({"callbacks": {"a": None, "b": node}}, "callbacks.b.count")
    refused({"stages": [{"x": [1, node]}]}, "stages[0].x[1].count")
    refused(everything(anything=node), "part.anything.count")


def test_targets_of_irodori_come_first(everything):
    first = {"first": {"_target_": "collections.NoSuch"}}
    refused(first | everything(count="x"), "part.count")
    refused(first | everything(), "first._target_", "NoSuch")


def test_values_of_interpolations_are_checked(shapes):
    text = f"size: big\npart: {{_target_: {shapes}.Everything, count: '${{size}}'}}"
    refused(OmegaConf.create(text), "part.count=big")
    refused(OmegaConf.create("part: ${nothing}"), "nothing")


@dataclass
class Root:
    alpha: Annotated[float, Range(min=0)]
    name: str | None = None
    part: Any = None
    trust: list[str] = field(default_factory=list)


def test_the_keys_of_the_configuration_are_those_of_its_root():
    check({"alpha": 1, "part": {"x": 1}}, root=Root)
    refused({"alpha": -1}, "alpha=-1", "at least 0", root=Root)
    refused({"alpha": 1, "nmae": 1}, "did you mean name?", root=Root)
    refused({"name": "x"}, "alpha has no value", root=Root)


@pytest.mark.slow
def test_lightnings_trainer_with_its_arguments():
    node = {"_target_": "lightning.pytorch.Trainer", "max_steps": -1}
    for arguments in (
        {"limit_train_batches": 10, "profiler": "simple", "strategy": "fsdp"},
        {"limit_train_batches": 0.5, "fast_dev_run": True, "devices": [0, 1]},
        {"precision": "bf16-mixed", "max_time": "00:01:00:00", "logger": False},
        {"callbacks": [{"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}]},
    ):
        check({"trainer": {**node, **arguments}})
    refused({"trainer": {**node, "max_steps": "fast"}}, "trainer.max_steps=fast", "an integer")
    refused({"trainer": {**node, "max_step": 3}}, "max_steps")
    refused({"trainer": {**node, "precision": "auto"}}, "trainer.precision=auto", "bf16-mixed")
    refused({"trainer": {**node, "callbacks": "EarlyStopping"}}, "trainer.callbacks")


WRONG = (
    st.none() | st.integers() | st.floats() | st.text() | st.sampled_from(["???", "${x}", "a.b"])
)


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_but_irodori_errors_is_raised(shapes, data):
    config = {
        "part": {"_target_": f"{shapes}.Everything", "count": 1, "anything": [{"x": 1}]},
        "options": {"_target_": f"{shapes}.MoreOptions", "size": 3, "last": True},
        "other": {"_target_": "collections.Counter"},
    }
    values = st.recursive(
        WRONG, lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=4
    )
    for _ in range(data.draw(st.integers(1, 3))):
        node = config[data.draw(st.sampled_from(sorted(config)))]
        key = data.draw(st.sampled_from([*node, "_target_", "_args_", "_partial_", "extra"]))
        node[key] = copy.deepcopy(data.draw(values))
    with contextlib.suppress(IrodoriError):
        check(config, root=data.draw(st.sampled_from([None, Root])))
