import re
import subprocess
import sys
from inspect import Parameter
from typing import Annotated

import pytest

from irodori.config import PROJECT
from irodori.config.ranges import Range
from irodori.config.signature import (
    UnknownTarget,
    imported_signature,
    object_signature,
    own_signature,
)


def required(found):
    return {item.name for item in found.parameters.values() if item.default is item.empty}


def test_dataclass_fields_are_arguments(shapes):
    found = own_signature(f"{shapes}.MoreOptions")
    assert list(found.parameters) == ["size", "share", "names", "last"]
    assert required(found) == {"size", "last"}
    assert found.parameters["size"].annotation == Annotated[int, Range(min=1, max=15)]
    assert shapes not in sys.modules


def test_names_are_followed_through_modules(shapes):
    package = shapes.rpartition(".")[0]
    assert list(own_signature(f"{package}.Again").parameters) == ["width", "name"]
    for target, near in (("shapes.Deriven", "Derived"), ("shape.X", "shapes"), ("a b", "path")):
        with pytest.raises(UnknownTarget, match=near):
            own_signature(f"{package}.{target}")


@pytest.mark.slow
def test_a_signature_found_with_stand_ins_is_the_imported_one():
    text = "\n".join(path.read_text() for path in (PROJECT / "conf").rglob("*.yaml"))
    targets = set(re.findall(r"_target_: (irodori\.\S+)", text))
    assert len(targets) > 20
    for target in targets:
        found, expected = own_signature(target), imported_signature(target)
        assert found is not None, target
        if any(item.kind is Parameter.VAR_KEYWORD for item in expected.parameters.values()):
            continue  # of a constructor of nn.Module, say
        assert list(found.parameters) == list(expected.parameters), target
        assert required(found) == required(expected), target


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("collections.OrderedDic", "OrderedDict"),
        ("no_such_package.X", "no_such_package"),
        ("failing_on_import.X", "out of paper"),
        ("math.pi", "class or function"),
    ],
)
def test_an_unknown_target_elsewhere_is_refused(target, near, tmp_path, monkeypatch):
    (tmp_path / "failing_on_import.py").write_text("raise OSError('out of paper')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownTarget, match=near):
        imported_signature(target)


def test_what_has_no_signature_takes_anything():
    kinds = {item.kind for item in object_signature(dict).parameters.values()}
    assert kinds == {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}


def test_the_constructor_counts_and_not_new():
    class Remembering:
        def __new__(cls, *args, **kwargs):
            return super().__new__(cls)

    class Sized(Remembering):
        def __init__(self, size: int) -> None: ...

    assert list(object_signature(Sized).parameters) == ["size"]


def test_a_check_imports_neither_torch_nor_lightning():
    program = (
        "import sys\n"
        "from irodori.config.check import check\n"
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
