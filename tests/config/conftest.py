"""A small package below irodori, written to a temporary folder."""

import itertools

import pytest

import irodori

SHAPES = '''
import enum
import typing
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, KW_ONLY
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

import torch_that_is_not_there as torch
from torch_that_is_not_there import nn
from irodori.config.ranges import Range

POSITIVE = Range(above=0)
LARGEST = 2**4 - 1
Share = Annotated[float, Range(least=0, most=1)]
Mode = Literal["fast", "slow"]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Net(torch.nn.Module):
    """A network."""


class Base(ABC):
    def __init__(self, width: float = 1.0, *, name: str) -> None: ...


class Derived(Base):
    """Without a constructor of its own."""


@dataclass
class Options:
    size: Annotated[int, Range(least=1, most=LARGEST)]
    share: Share = 0.5
    mode: Mode = "fast"
    names: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "x"
    found: int = field(default=0, init=False)


@dataclass
class MoreOptions(Options):
    extra: int | None = None
    _: KW_ONLY
    last: bool


class Outside(torch.Something):
    """Its constructor is not to be seen."""


class Everything:
    def __init__(
        self,
        count: int,
        rate: Annotated[float, POSITIVE] = 1.0,
        flag: bool = False,
        text: str | None = None,
        pair: tuple[float, float] = (0.0, 1.0),
        sides: list[int] = [],
        shares: Annotated[Sequence[float], Range(least=0, most=1)] = (),
        mode: "typing.Literal['a', 'b', 3]" = "a",
        path: Path = Path("."),
        net: Net | None = None,
        color: Color = Color.RED,
        anything: Any = None,
        unknown: torch.Whatever = None,
        bare=None,
        either: int | list[int] | None = None,
        by_name: Mapping[str, int] = {},
        function: Callable[[int], int] | None = None,
        implicit: int = None,
    ) -> None: ...

    @classmethod
    def small(cls, count: int = 1) -> "Everything": ...


def function(sample: Mapping[str, Any], /, scale: float = 1.0, **others: int) -> None: ...
'''


class Sketch:
    """Writes modules below a package irodori.<name> of its own."""

    numbers = itertools.count()

    def __init__(self, folder) -> None:
        self.name = f"irodori.sketch{next(self.numbers)}"
        self.folder = folder / self.name.partition(".")[2]
        self.folder.mkdir()
        self.write("__init__", "")

    def write(self, module: str, text: str) -> str:
        (self.folder / f"{module}.py").write_text(text)
        return f"{self.name}.{module}"


@pytest.fixture
def sketch(tmp_path, monkeypatch) -> Sketch:
    """A package below irodori with SHAPES as its module `shapes`."""
    monkeypatch.setattr(irodori, "__path__", [*irodori.__path__, str(tmp_path)])
    made = Sketch(tmp_path)
    made.write("shapes", SHAPES)
    return made
