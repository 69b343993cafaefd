"""What a description can make, and what it can't."""

import copy
import pickle
import sys
from functools import partial
from types import ModuleType
from typing import Annotated

import pytest
import torch

from irodori.config.describable import Describable, build, describe
from irodori.config.ranges import Range
from irodori.network.decoders import SkipDecoder
from irodori.network.output import AbClassesOutput
from irodori.network.paper_backbone import PaperBackbone
from irodori.utils.errors import IrodoriError
from networks import joint


class Thing(Describable):
    """Holds what it is given."""

    def __init__(
        self, first, size: Annotated[int | None, Range(min=1, max=9)] = 3, *, more=(), **rest
    ) -> None:
        self.first, self.size, self.more, self.rest = first, size, more, rest


def test_arguments_are_remembered_with_their_defaults():
    thing = Thing("a", more=[1, 2], other=5)
    assert thing.arguments == {"first": "a", "size": 3, "more": [1, 2], "other": 5}
    for again in (copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
        assert again.arguments == thing.arguments
        assert again.__dict__ == thing.__dict__


def test_a_description_makes_the_same_again():
    thing = Thing(Thing(1), more={"a": Thing(None, size=None)}, made=partial(Thing, size=2))
    again = build(describe(thing), trust=[__name__])
    assert describe(again) == describe(thing)
    assert again.first.first == 1
    assert again.rest["made"]("x").size == 2
    assert again.more["a"].size is None


@pytest.mark.parametrize("size", [0, 10, float("nan"), 10**9])
def test_ranges_of_annotations_are_enforced(size):
    with pytest.raises(ValueError, match=r"Thing: size is at least 1 and at most 9, not"):
        Thing("a", size)


@pytest.mark.parametrize("value", [object(), Thing(object()), len, partial(len), torch.zeros(2)])
def test_what_has_no_plain_values_cannot_be_described(value):
    with pytest.raises(TypeError):
        describe(value)


def test_a_network_is_described_in_full():
    network = joint(3, backbone="resnet18", decoder="skips", output="ab_classes", temperature=0.2)
    described = describe(network)
    assert described["backbone"]["name"].startswith("resnet18.")
    assert described["decoder"] == {
        "_target_": "irodori.network.decoders.SkipDecoder",
        "_partial_": True,
        "width": 1 / 16,
    }
    assert described["output"]["temperature"] == 0.2
    again = build(described)
    assert describe(again) == described
    assert isinstance(again.colorization, SkipDecoder)
    assert isinstance(again.output, AbClassesOutput)
    assert isinstance(joint().backbone, PaperBackbone)


ATTACKS = """
    os.system builtins.eval subprocess.Popen torch.load irodori.utils.files.os.system
    irodori.utils.files.os irodori.config.describable.importlib.import_module
    irodori.config.describable.build irodori.config.describable.Describable.__init__
    irodori.network.joint.nn.Sequential irodori.network.joint.Callable
    irodori.network.joint.PaperBackbone irodori.network.JointNetwork
    irodori.utils.errors.IrodoriError irodori.utils.errors irodori irodori.
    .irodori.utils.errors.IrodoriError irodori..errors.IrodoriError irodori_evil.Thing
    irodori.missing.Thing .
"""
OTHERS = ("", None, 7, ["irodori.network.joint.JointNetwork"])


@pytest.mark.parametrize("partially", [True, False])
@pytest.mark.parametrize("target", [*ATTACKS.split(), *OTHERS])
def test_nothing_but_describable_classes_is_made(target, partially):
    before = set(sys.modules)
    description = {"_target_": target, "_partial_": partially, "command": "touch /tmp/touched"}
    for attack in (description, {"_target_": "irodori.color.lab.Lab", "x": [description]}):
        with pytest.raises(IrodoriError) as caught:
            build(attack)
        assert "\n" not in str(caught.value)
    outside = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert "irodori_evil" not in outside


def test_other_packages_are_imported_only_if_trusted(tmp_path, monkeypatch):
    (tmp_path / "their_package").mkdir()
    (tmp_path / "their_package" / "__init__.py").write_text(
        "from irodori.config.describable import Describable\n"
        "class Theirs(Describable):\n    def __init__(self, x=1): self.x = x\n"
        "class Plain: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    theirs = {"_target_": "their_package.Theirs", "x": 4}
    for trust in ((), ["their"], ["their_package_too"], [""]):
        with pytest.raises(IrodoriError, match=r"their_package.*--trust their_package"):
            build(theirs, trust)
        assert "their_package" not in sys.modules
    assert build(theirs, ["their_package"]).x == 4
    with pytest.raises(IrodoriError, match="not a class for models"):
        build({"_target_": "their_package.Plain"}, ["their_package"])
    sys.modules.pop("their_package")


def test_a_module_that_fails_to_import_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "failing_package.py").write_text("raise RuntimeError('two\\nlines')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(IrodoriError, match="can't be imported: two lines"):
        build({"_target_": "failing_package.X"}, ["failing_package"])


def test_a_class_in_anothers_name_is_refused(monkeypatch):
    """As when irodori's module has imported a class of a package that isn't trusted."""
    other = ModuleType("other_package")
    theirs = type("Theirs", (Describable,), {"__module__": "other_package"})
    other.Theirs = theirs
    import irodori.utils.errors

    monkeypatch.setattr(irodori.utils.errors, "Theirs", theirs, raising=False)
    with pytest.raises(IrodoriError, match="not a class for models"):
        build({"_target_": "irodori.utils.errors.Theirs"})
