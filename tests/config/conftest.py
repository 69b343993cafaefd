"""A small package below irodori, written to a temporary folder."""

import itertools
from collections.abc import Iterator

import pytest

import irodori

NUMBERS = itertools.count()
SHAPES = '''
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch_that_is_not_there as torch
from torch_that_is_not_there import nn
from irodori.config.ranges import Range

LARGEST = 2**4 - 1
Share = Annotated[float, Range(min=0, max=1)]
Mode = Literal["fast", "slow"]


class Net(nn.Module, ABC):
    def forward(self, image: torch.Tensor) -> torch.Tensor: ...


class Base(ABC):
    def __init__(self, width: float = 1.0, *, name: str) -> None: ...


class Derived(Base):
    """Without a constructor of its own."""


@dataclass(frozen=True)
class Options:
    size: Annotated[int, Range(min=1, max=LARGEST)]
    share: Share = 0.5
    names: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "x"
    found: int = field(default=0, init=False)


@dataclass(frozen=True, kw_only=True)
class MoreOptions(Options):
    last: bool


class Everything:
    def __init__(
        self, count: int, rate: Annotated[float, Range(above=0)] = 1.0, flag: bool = False,
        text: str | None = None, pair: tuple[float, float] = (0.0, 1.0), sides: list[int] = [],
        shares: Annotated[Sequence[float], Range(min=0, max=1)] = (), mode: Mode = "fast",
        path: Path = Path("."), net: Net | None = None, anything: Any = None,
        unknown: torch.Whatever | None = None, nets: list[nn.Module] | None = None,
        either: int | list[int] | None = None, weights: Mapping[str, float] = {},
        function: Callable[[int], int] | None = None, implicit: int = None, bare=nn.ReLU(),
    ) -> None: ...
'''


@pytest.fixture
def shapes(tmp_path) -> Iterator[str]:
    """The path of a module below irodori that is not imported, with SHAPES in it."""
    package = f"sketch{next(NUMBERS)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("from .shapes import Derived as Again\n")
    (tmp_path / package / "shapes.py").write_text(SHAPES)
    irodori.__path__.append(str(tmp_path))
    yield f"irodori.{package}.shapes"
    irodori.__path__.remove(str(tmp_path))
