import importlib
import inspect
import pkgutil
import subprocess
import sys
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest

import irodori.color
import irodori.network
from irodori.config.ranges import Range
from irodori.config.signature import (
    ANYTHING,
    OtherClass,
    object_signature,
    signature,
    source_signature,
)
from irodori.config.source import UnknownTarget


def required(found):
    return {item.name for item in found.parameters.values() if item.default is item.empty}


def annotation(found, name):
    return found.parameters[name].annotation


def test_annotations_are_evaluated_without_an_import(sketch):
    found = source_signature(f"{sketch.name}.shapes.Everything")
    assert annotation(found, "count") is int
    assert annotation(found, "rate") == Annotated[float, Range(above=0)]
    assert annotation(found, "flag") is bool
    assert annotation(found, "text") == str | None
    assert annotation(found, "pair") == tuple[float, float]
    assert annotation(found, "sides") == list[int]
    assert get_args(annotation(found, "shares"))[1] == Range(least=0, most=1)
    assert annotation(found, "mode") == Literal["a", "b", 3]
    assert annotation(found, "path") is Path
    assert set(get_args(annotation(found, "net"))) == {OtherClass, type(None)}
    assert set(get_args(annotation(found, "color"))) == {"RED", "BLUE", "red", "blue"}
    assert annotation(found, "anything") is object
    assert annotation(found, "unknown") is object
    assert annotation(found, "bare") is Parameter.empty
    assert required(found) == {"count"}
    assert found.parameters["implicit"].default is None
    assert f"{sketch.name}.shapes" not in sys.modules


def test_dataclass_fields_are_arguments(sketch):
    found = source_signature(f"{sketch.name}.shapes.MoreOptions")
    assert list(found.parameters) == ["size", "share", "mode", "names", "extra", "last"]
    assert required(found) == {"size", "last"}
    assert annotation(found, "size") == Annotated[int, Range(least=1, most=15)]
    assert annotation(found, "share") == Annotated[float, Range(least=0, most=1)]
    assert annotation(found, "mode") == Literal["fast", "slow"]


def test_a_constructor_is_inherited(sketch):
    found = source_signature(f"{sketch.name}.shapes.Derived")
    assert list(found.parameters) == ["width", "name"]
    assert required(found) == {"name"}


def test_a_constructor_of_another_package_is_not_guessed(sketch):
    assert source_signature(f"{sketch.name}.shapes.Outside") is None


def test_a_constructor_of_another_package_is_read_where_its_source_is_found(sketch):
    sketch.write(
        "outer",
        "from lightning.pytorch.callbacks import Callback, EarlyStopping\n"
        "class Mine(Callback): ...\nclass Stop(EarlyStopping): ...\n",
    )
    assert not source_signature(f"{sketch.name}.outer.Mine").parameters
    assert "monitor" in required(source_signature(f"{sketch.name}.outer.Stop"))


def test_functions_and_methods_of_classes_are_targets(sketch):
    found = source_signature(f"{sketch.name}.shapes.function")
    kinds = [item.kind for item in found.parameters.values()]
    assert kinds == [
        Parameter.POSITIONAL_ONLY,
        Parameter.POSITIONAL_OR_KEYWORD,
        Parameter.VAR_KEYWORD,
    ]
    assert list(source_signature(f"{sketch.name}.shapes.Everything.small").parameters) == ["count"]


def test_names_are_followed_through_modules(sketch):
    sketch.write("first", "from .second import Renamed as Again\n")
    sketch.write("second", f"from {sketch.name}.third import *\n")
    sketch.write("third", "from .shapes import Derived as Renamed\n")
    assert list(source_signature(f"{sketch.name}.first.Again").parameters) == ["width", "name"]


def test_a_circle_of_imports_ends(sketch):
    sketch.write("left", "from .right import X\n")
    sketch.write("right", "from .left import X\n")
    assert source_signature(f"{sketch.name}.left.X") is None


def test_an_assigned_name_takes_anything(sketch):
    sketch.write("assigned", "half = partial(f, 0.5)\n")
    assert source_signature(f"{sketch.name}.assigned.half") == ANYTHING


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("shapes.Deriven", "Derived"),
        ("shape.Derived", "shapes"),
        ("shapes", "module"),
        ("shapes.a b", "path"),
        ("shapes.", "path"),
    ],
)
def test_an_unknown_target_is_refused_with_the_nearest_name(sketch, target, near):
    with pytest.raises(UnknownTarget, match=near):
        source_signature(f"{sketch.name}.{target}")


def test_a_broken_module_is_named(sketch):
    sketch.write("broken", "class (\n")
    with pytest.raises(UnknownTarget, match="broken"):
        source_signature(f"{sketch.name}.broken.X")


def _classes():
    for package in (irodori.color, irodori.network):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            loaded = importlib.import_module(module.name)
            for name, value in vars(loaded).items():
                if inspect.isclass(value) and value.__module__ == module.name:
                    yield f"{module.name}.{name}", value


def test_the_source_tells_what_python_tells():
    compared = 0
    for target, kind in _classes():
        found, expected = source_signature(target), inspect.signature(kind)
        kinds = {item.kind for item in expected.parameters.values()}
        if found is None or kinds <= {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}:
            continue
        assert list(found.parameters) == list(expected.parameters), target
        assert required(found) == required(expected), target
        compared += 1
    assert compared >= 5


def test_hints_of_other_packages_are_resolved_one_by_one(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_hints.py").write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from nowhere import Thing\n"
        "def make(count: int, thing: Thing, either: int | Thing = 1) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = signature("elsewhere_hints.make")
    assert annotation(found, "count") is int
    assert annotation(found, "thing") is Parameter.empty
    assert required(found) == {"count", "thing"}


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("collections.OrderedDic", "OrderedDict"),
        ("collections.abd.Sequence", "abc"),
        ("no_such_package.X", "no_such_package"),
        ("failing_on_import.X", "out of paper"),
        ("math.pi", "called"),
    ],
)
def test_an_unknown_target_elsewhere_is_refused(target, near, tmp_path, monkeypatch):
    (tmp_path / "failing_on_import.py").write_text("raise OSError('out of paper')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownTarget, match=near):
        signature(target)


def test_what_has_no_signature_takes_anything():
    assert object_signature(dict) == ANYTHING


def test_reading_sources_imports_neither_torch_nor_lightning():
    program = (
        "import sys\n"
        "from irodori.config.check import check\n"
        "from irodori.config.signature import source_signature\n"
        "assert source_signature('irodori.network.joint.JointNetwork').parameters\n"
        "try: check({'network': {'_target_': 'irodori.network.joint.JointNetwork', 'widht': 1}})\n"
        "except Exception as error: print(error)\n"
        "import irodori.config.errors, irodori.config.instantiate, irodori.config.trust\n"
        "irodori.config.trust.refuse_untrusted({'o': {'_target_': 'torch.optim.AdamW'}})\n"
        "assert not {'torch', 'lightning', 'kornia', 'numpy'} & sys.modules.keys()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "network.widht" in done.stdout
    assert "did you mean width?" in done.stdout
